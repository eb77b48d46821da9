"""The Inspect tab's work: how strongly features fire on each token of a text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.atlas.labels import shown_labels
from steering.errors import FeatureError
from steering.interventions import Intervention
from ui.component import component
from ui.feature_lines import feature_lines
from ui.host import Host

if TYPE_CHECKING:
    from steering.atlas.token_activity import ActiveHere
    from steering.session import Session

Reading = dict[str, Any]
MOST_LISTED = 12
"""Of each rank."""
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
            **feature_lines(session, trace.sae, [trace.feature])[0],
            "acts": [round(act, 4) for act in trace.acts],
            "max": trace.max_act or max(trace.acts, default=0.0) or 1.0,
            "max_known": trace.max_act is not None,
        }
        for trace in reading.traces
    ]
    return {"tokens": tokens, "traces": traces, "text": text}


def strongest_at(host: Host, text: str, position: int) -> dict[str, Any]:
    """The features that fire on one token by activation and by attribution, to add or to open.

    Raises:
        SteeringError: No such token.
    """
    from steering.atlas.token_activity import active_at

    session = host.session
    encoded = session.model.encode(text, prepend_bos=session.prepend_bos, room=0)
    lines, targets, fired = [], [], 0
    for alias, sae in session.saes.items():
        found = active_at(session.model, sae, encoded, position, limit=MOST_LISTED)
        several = {each.feature: each for each in (*found.by_activation, *found.by_attribution)}
        known = feature_lines(session, alias, list(several))
        lines += [_ranked(line, several[line["feature"]]) for line in known]
        targets.append(found.target)
        fired += found.fired
    lines.sort(key=lambda line: -line["by"]["activation"])
    if not lines:
        return {"title": f"No feature fires at token {position}", "features": []}
    last = position + 1 == len(encoded.ids)
    behind = "what the model would most likely write next" if last else "what follows it"
    return {
        "title": f"{fired:,} fire at token {position}",
        "note": f"Attribution is to {behind}: {targets[0]!r}.",
        "features": lines,
    }


def _ranked(line: dict[str, Any], here: "ActiveHere") -> dict[str, Any]:
    return {
        **line,
        "amount": f"activation {here.activation:.3g}",
        "ranks": f"activation rank {here.activation_rank}, attribution rank "
        f"{here.attribution_rank} ({here.attribution:+.2g} logits)",
        "by": {"activation": here.activation, "attribution": here.attribution},
    }


def search_words(host: Host, words: str) -> dict[str, Any]:
    """Features whose label has these words, to add or to open.

    Raises:
        FeatureError: None has.
    """
    session = host.session
    found = session.search(words)
    if not found:
        raise FeatureError(
            f"No label has the words {words!r}; {_labelled(session)} Try other words, or give a "
            "number such as 1234 or 1234=2.5, or a Neuronpedia address."
        )
    known = {
        (alias, line["feature"]): line
        for alias in session.saes
        for line in feature_lines(session, alias, [f for own, f in found if own == alias])
    }
    title = f"{len(found)} found for “{words.strip()}”"
    return {"title": title, "features": [known[each] for each in found]}


def _labelled(session: "Session") -> str:
    """How many features could have been found."""
    count = 0
    for alias, sae in session.saes.items():
        atlas = session.atlas(alias)
        named = {feature for feature, facts in sae.facts.items() if facts.label}
        count += len(named | set(shown_labels(atlas)) if atlas is not None else named)
    return f"{count:,} features have a label here."
