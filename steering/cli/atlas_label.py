"""The command `steer atlas label`: labels by hand, from files, from tokens, from another model."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steering.cli import options as flag
from steering.cli.report import bars, reporting
from steering.errors import AtlasError

if TYPE_CHECKING:
    from steering.atlas.labels import Label
    from steering.atlas.store import Atlas
    from steering.features import FeatureFacts

From = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        help="Labels to take in: a .jsonl or .jsonl.gz file, a folder of Neuronpedia's "
        "batch-N.jsonl.gz, or an address. Repeatable.",
    ),
]
Truth = Annotated[bool, typer.Option("--truth", help="From the features file beside the SAE.")]
Evidence = Annotated[
    bool, typer.Option("--evidence", help="From the tokens that features fire on and promote.")
]
EndpointAddress = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="Have another model explain features and test its words: an OpenAI-compatible "
        "address up to /v1.",
    ),
]
Explainer = Annotated[str | None, typer.Option("--explainer", help="The model behind --endpoint.")]
Key = Annotated[
    str | None, typer.Option("--key", envvar="OPENAI_API_KEY", help="For --endpoint, if it asks.")
]
Most = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Explain so many features, those that fire most first."),
]
OwnFeature = Annotated[int | None, typer.Argument(help="The feature to label yourself.")]
OwnLabel = Annotated[str | None, typer.Argument(help="Your label; an empty one takes yours away.")]


def label(
    feature: OwnFeature = None,
    text: OwnLabel = None,
    from_: From = None,
    truth: Truth = False,
    evidence: Evidence = False,
    endpoint: EndpointAddress = None,
    explainer: Explainer = None,
    key: Key = None,
    limit: Most = None,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
) -> None:
    """Label a feature yourself, or take in the labels of others; yours are never overwritten."""
    with reporting():
        by_hand = feature is not None and text is not None
        asked = by_hand or from_ or truth or evidence or endpoint
        if not asked or (feature is None) != (text is None):
            raise AtlasError(
                "There is nothing to label. Write a feature and your label for it, or give "
                "--from FILE, --truth, --evidence or --endpoint."
            )
        if (endpoint is None) != (explainer is None):
            raise AtlasError("--endpoint and --explainer go together. Give both.")
        from steering.atlas.labels import add_labels, set_label
        from steering.atlas.map import name_clusters

        opened, facts = _to_label(atlas, tuple(sae or ()), truth=truth)
        with opened:
            if feature is not None and text is not None:
                set_label(opened, feature, text)
                typer.echo(f"{feature}: {' '.join(text.split()) or 'no label of yours'}")
            if (evidence or endpoint) and opened.about.median_norm is None:
                raise AtlasError(
                    f"{str(opened.path)!r} has no statistics to label by. Run "
                    "`steer atlas build --text FILE` first."
                )
            try:
                for name, given in _given(opened, from_ or [], facts, evidence=evidence):
                    typer.echo(f"{name}: {add_labels(opened, given)}")
                if endpoint is not None and explainer is not None:
                    typer.echo(_explain(opened, endpoint, explainer, key, limit))
            finally:
                name_clusters(opened)  # after what was kept before an endpoint failed, too


def _explain(
    atlas: "Atlas", address: str, explainer: str, key: str | None, limit: int | None
) -> str:
    """Explain features one by one, each kept as soon as it is told."""
    from steering.atlas import explain as explaining
    from steering.atlas.endpoint import Endpoint
    from steering.atlas.labels import add_labels

    answerer, kept = Endpoint(address, explainer, key), 0
    features = explaining.waiting_features(atlas, explaining.source_of(answerer), limit)
    with bars() as report:
        for told in explaining.explain(atlas, answerer, features):
            if told.label is not None:
                kept += add_labels(atlas, [told.label]).kept
            report("explanations", told.done, told.total)
    return f"{explaining.source_of(answerer)}: {kept:,} labels kept"


def _to_label(
    path: Path | None, saes: tuple[str, ...], *, truth: bool
) -> "tuple[Atlas, dict[int, FeatureFacts]]":
    """The atlas, begun where an SAE has none yet, and the ground truth if that is wanted.

    A given file says itself whose it is, so that the SAE need not be loaded; one that is not there
    is a mistyped one, unless an SAE is given for it.
    """
    from steering.atlas.places import path_to_write
    from steering.atlas.store import Atlas

    if path is not None and not (saes or truth):
        return Atlas.open(path), {}
    from steering.cli.atlas_files import load_sae
    from steering.features import FEATURES_FILE

    own = load_sae(saes)
    if truth and not own.facts:
        raise AtlasError(
            f"There is no {FEATURES_FILE} beside SAE {own.name!r}, so there is no ground truth. "
            "Leave --truth out."
        )
    return Atlas.create(path or path_to_write(own), own), own.facts if truth else {}


def _given(
    atlas: "Atlas", files: list[str], facts: "dict[int, FeatureFacts]", *, evidence: bool
) -> "Iterator[tuple[str, Iterable[Label]]]":
    from steering.atlas.evidence import evidence_labels
    from steering.atlas.label_files import read_labels
    from steering.atlas.labels import EVIDENCE, TRUTH, truth_labels

    for file in files:
        yield file, read_labels(file, neuronpedia_id=atlas.about.neuronpedia_id)
    if facts:
        yield TRUTH, truth_labels(facts)
    if evidence:
        yield EVIDENCE, list(evidence_labels(atlas))
