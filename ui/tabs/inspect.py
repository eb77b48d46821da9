"""The Inspect tab's work: how strongly features fire on each token of a text."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from steering.errors import FeatureError
from steering.interventions import Intervention
from ui.component import component
from ui.host import Host
from ui.rack import feature_name, label_of

Reading = dict[str, Any]
EMPTY: Reading = {"tokens": [], "traces": []}


def heatmap_component(**options: Any) -> gr.HTML:
    """The component that colours the tokens."""
    return component("heatmap", EMPTY, **options)


def features_component(**options: Any) -> gr.HTML:
    """The component that lists features to add."""
    return component("features", {"title": "", "features": []}, **options)


def read_text(host: Host, text: str, interventions: Sequence[Intervention]) -> Reading:
    """Every token of a text, and how strongly the rack's features fire there, unsteered.

    Raises:
        SteeringError: An empty text, or one that is too long.
    """
    session = host.session
    asked = dict.fromkeys(
        (session.resolve(each).sae, each.feature)
        for each in interventions
        if each.feature is not None
    )
    reading = session.read(text, list(asked))
    tokens = [
        [piece, special or not at]
        for at, (piece, special) in enumerate(zip(reading.texts, reading.special, strict=True))
    ]
    traces = [
        {
            "name": feature_name(session, trace.sae, trace.feature),
            "label": label_of(session, trace.sae, trace.feature),
            "acts": [round(act, 4) for act in trace.acts],
            "max": trace.max_act or max(trace.acts, default=0.0) or 1.0,
            "max_known": trace.max_act is not None,
        }
        for trace in reading.traces
    ]
    return {"tokens": tokens, "traces": traces, "text": text}


def strongest_at(host: Host, text: str, position: int) -> dict[str, Any]:
    """The features that fire most on one token, to be added with a click.

    Raises:
        SteeringError: No such token.
    """
    session = host.session
    found = session.strongest(text, position, 12)
    title = f"Strongest at token {position}" if found else f"No feature fires at token {position}"
    return {
        "title": title,
        "features": [
            {
                **feature_line(host, each.sae, each.feature),
                "amount": f"{each.activation:.3g}"
                + (f" of max {each.max_act:.3g}" if each.max_act else ""),
            }
            for each in found
        ],
    }


def search_words(host: Host, words: str) -> dict[str, Any]:
    """Features whose label has these words, to be added with a click.

    Raises:
        FeatureError: None has.
    """
    found = host.session.search(words)
    if not found:
        labelled = sum(
            facts.label is not None
            for sae in host.session.saes.values()
            for facts in sae.facts.values()
        )
        raise FeatureError(
            f"No label has the words {words!r}; {labelled} features have a label here. Try other "
            "words, or give a number such as 1234 or 1234=2.5, or a Neuronpedia address."
        )
    return {
        "title": f"{len(found)} found for “{words.strip()}”",
        "features": [feature_line(host, alias, feature) for alias, feature in found],
    }


def feature_line(host: Host, alias: str, feature: int) -> dict[str, Any]:
    """One feature in a list."""
    return {
        "sae": alias,
        "feature": feature,
        "name": feature_name(host.session, alias, feature),
        "label": label_of(host.session, alias, feature),
    }
