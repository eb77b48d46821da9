"""The commands `steer atlas …`: build an atlas, score its features, label them."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steering.cli import options as flag
from steering.cli.report import reporting, say_note
from steering.errors import AtlasError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from steering.atlas.labels import Label
    from steering.atlas.store import Atlas
    from steering.features import FeatureFacts
    from steering.session import Session

atlas_app = typer.Typer(
    no_args_is_help=True, help="What is known of every feature of an SAE, in one file."
)

Text = Annotated[
    str,
    typer.Option(
        "--text",
        help="A text file (`---` on a line ends a document), a .jsonl file, a folder of them, the "
        "name of a dataset on the hub, or `-` for standard input.",
    ),
]
Tokens = Annotated[
    str | None,
    typer.Option("--tokens", help="Stop after so many counted tokens: `300k`, `5M`."),
]
Split = Annotated[str, typer.Option("--split", help="Of a dataset.")]
Column = Annotated[str, typer.Option("--column", help="Of a dataset or a .jsonl file.")]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on.")]
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
EmbeddingModel = Annotated[
    str | None, typer.Option("--embedding", help="A sentence-transformers model.")
]
OwnFeature = Annotated[int | None, typer.Argument(help="The feature to label yourself.")]
OwnLabel = Annotated[str | None, typer.Argument(help="Your label; an empty one takes yours away.")]


@atlas_app.command()
def build(
    text: Text,
    tokens: Tokens = None,
    atlas: flag.AtlasFile = None,
    split: Split = "train",
    column: Column = "text",
    restart: Restart = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
) -> None:
    """Measure every feature on a text; run it again to go on after an interruption."""
    with reporting():
        from steering.cli.atlas_files import open_session
        from steering.cli.load import Place

        wanted = count_of(tokens)
        place = Place(model, tuple(sae or ()), device, dtype)
        from steering.atlas.texts import text_source

        source = text_source(text, split=split, column=column)
        session = open_session(place)
        from steering.atlas.build import BuildOptions
        from steering.atlas.build import build as build_atlases

        paths = _paths(session, atlas)
        with _bars() as report:
            build_atlases(session.model, paths, source, BuildOptions(wanted, restart), report)
        for path in paths:
            typer.echo(str(path))


def _paths(session: "Session", asked: Path | None) -> dict[Path, Any]:
    from steering.atlas.store import atlas_path

    if asked is not None and len(session.saes) > 1:
        raise AtlasError(
            "--atlas names one file, and several SAEs are given. Leave it out: each atlas goes to "
            "its place."
        )
    return {asked or atlas_path(sae): sae for sae in session.saes.values()}


def count_of(text: str | None) -> int | None:
    """Read a count such as `300k` or `5M`.

    Raises:
        AtlasError: It is none, or not above 0.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmMbB]?)", text.strip())
    count = (
        int(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}[found[2].lower()])
        if (found)
        else 0
    )
    if count < 1:
        raise AtlasError(f"Cannot read the count {text!r}. Write one like 300000, 300k or 5M.")
    return count


@contextmanager
def _bars() -> Iterator["Callable[[str, int, int | None], None]"]:
    """A bar on standard error for each thing that is done, one after the other."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def report(what: str, done: int, total: int | None) -> None:
        if what not in bars:
            for bar in bars.values():
                bar.close()
            bars[what] = tqdm(desc=what, total=total, unit_scale=True, file=sys.stderr)
        bars[what].update(done - bars[what].n)

    try:
        yield report
    finally:
        for bar in bars.values():
            bar.close()


@atlas_app.command()
def score(
    atlas: flag.AtlasFile = None,
    restart: Restart = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
) -> None:
    """Measure which features really move what the model writes; run it again to go on."""
    with reporting():
        from steering.cli.atlas_files import atlas_of, only_sae, open_session
        from steering.cli.load import Place

        session = open_session(Place(model, tuple(sae or ()), device, dtype))
        _, own = only_sae(session)
        from steering.atlas import score as scoring

        total = 0
        with atlas_of(atlas, own) as opened, _bars() as report:
            for step in scoring.score(opened, session.model, own, restart=restart):
                if not total:
                    say_note(f"{step.total:,} features, about {_spoken(step.seconds_left)}.")
                total = step.total
                report("output scores", step.done, step.total)
        typer.echo(f"{total:,} features scored.")


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@atlas_app.command("map")
def map_(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another picture.")] = 0,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
) -> None:
    """Lay the live features out on a plane, in clusters named after their labels."""
    with reporting():
        from steering.cli.atlas_files import atlas_of, load_sae
        from steering.cli.load import Place

        own = load_sae(Place(saes=tuple(sae or ())))
        from steering.atlas.map import make_map, map_points

        with atlas_of(atlas, own) as opened:
            count = make_map(opened, own, seed=seed)
            names = map_points(opened).names
        typer.echo(f"{count:,} features on the map.")
        for name in names.values():
            typer.echo(name)


@atlas_app.command()
def embed(
    embedding: EmbeddingModel = None,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
) -> None:
    """Store what the labels mean, for `steer features search --by meaning`."""
    with reporting():
        from steering.atlas import meaning
        from steering.cli.atlas_files import open_atlas
        from steering.cli.load import Place

        name = embedding or meaning.DEFAULT_MODEL
        with open_atlas(atlas, Place(saes=tuple(sae or ()))) as opened:
            count = meaning.embed_labels(opened, meaning.sentence_encoder(name), name)
        typer.echo(f"{count:,} labels embedded by {name}.")


@atlas_app.command()
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

        opened, facts = _to_label(atlas, tuple(sae or ()), truth=truth)
        with opened:
            if feature is not None and text is not None:
                set_label(opened, feature, text)
                typer.echo(f"{feature}: {' '.join(text.split()) or 'no label of yours'}")
            for name, given in _given(opened, from_ or [], facts, evidence=evidence):
                typer.echo(f"{name}: {add_labels(opened, given)}")
            if endpoint is not None and explainer is not None:
                typer.echo(_explain(opened, endpoint, explainer, key, limit))


def _explain(
    atlas: "Atlas", address: str, explainer: str, key: str | None, limit: int | None
) -> str:
    """Explain features one by one, each kept as soon as it is told."""
    from steering.atlas import explain as explaining
    from steering.atlas.endpoint import Endpoint
    from steering.atlas.labels import add_labels

    answerer, kept = Endpoint(address, explainer, key), 0
    features = explaining.waiting_features(atlas, limit)
    with _bars() as report:
        for told in explaining.explain(atlas, answerer, features):
            if told.label is not None:
                kept += add_labels(atlas, [told.label]).kept
            report("explanations", told.done, told.total)
    return f"{explaining.source_of(answerer)}: {kept:,} labels kept"


def _to_label(
    path: Path | None, saes: tuple[str, ...], *, truth: bool
) -> "tuple[Atlas, dict[int, FeatureFacts]]":
    """The atlas, begun where there is none yet, and the ground truth if that is wanted.

    A given file says itself whose it is, so that the SAE need not be loaded.
    """
    from steering.atlas.store import Atlas, atlas_path

    if path is not None and path.is_file() and not (saes or truth):
        return Atlas.open(path), {}
    from steering.cli.atlas_files import load_sae
    from steering.cli.load import Place
    from steering.features import FEATURES_FILE

    own = load_sae(Place(saes=saes))
    if truth and not own.facts:
        raise AtlasError(
            f"There is no {FEATURES_FILE} beside SAE {own.name!r}, so there is no ground truth. "
            "Leave --truth out."
        )
    return Atlas.create(path or atlas_path(own), own), own.facts if truth else {}


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
