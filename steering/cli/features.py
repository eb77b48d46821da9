"""The commands `steer features …`: find a feature, see what it means, walk its neighbourhood."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steering.cli import options as flag
from steering.cli.atlas_files import atlas_if_any, load_sae, names_of, open_atlas
from steering.cli.feature_texts import active, contrast
from steering.cli.report import dump_json, reporting, say, say_note
from steering.errors import AtlasError

if TYPE_CHECKING:
    from steering.atlas.cards import Card, Example
    from steering.atlas.meaning import Encode
    from steering.atlas.rings import Ring
    from steering.atlas.search import Found
    from steering.atlas.store import Atlas
    from steering.sae import Sae

features_app = typer.Typer(
    no_args_is_help=True, help="Find features by words, tokens, texts and neighbours."
)

features_app.command()(active)
features_app.command()(contrast)

Words = Annotated[str, typer.Argument(help="Words of a label, or tokens.")]
Phrase = Annotated[str, typer.Argument(help="What the text should be about.")]
Feature = Annotated[int, typer.Argument(help="A feature's number.")]
By = Annotated[
    Literal["label", "tokens", "meaning"],
    typer.Option(
        "--by",
        help="The words of labels, the tokens that features promote, or what labels mean (after "
        "`steer atlas embed`).",
    ),
]
Radius = Annotated[
    list[float] | None,
    typer.Option("--radius", help="Where a ring ends, as cosine distance. Repeatable."),
]
Examples = Annotated[int, typer.Option("--examples", min=0, help="How many of the best examples.")]


@features_app.command()
def search(
    words: Words,
    by: By = "label",
    limit: flag.Limit = 20,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
    json: flag.Json = False,
) -> None:
    """Find features by the words of their labels, or by the tokens they promote."""
    with reporting():
        with open_atlas(atlas, sae) as opened:
            found = _searched(opened, words, by, limit)
        if json:
            typer.echo(dump_json([each.to_dict() for each in found]))
            return
        for each in found:
            badge = f"  [{each.steerability}]" if each.steerability else ""
            said = each.label or ""
            # What was found by is said where the label does not say it.
            beside = "" if each.why in ("", said) else f"  ({each.why})"
            say(f"{each.feature}\t{said}{beside}{badge}")
        if not found:
            typer.echo(f"No feature is found by {words!r}.", err=True)


def _searched(atlas: "Atlas", words: str, by: str, limit: int) -> "list[Found]":
    from steering.atlas import search as searching

    if by == "tokens":
        return searching.search_promoted(atlas, words, limit)
    if by == "label":
        return searching.search(atlas, words, limit)
    from steering.atlas.meaning import embedded_by, search_meaning, sentence_encoder

    return search_meaning(atlas, words, sentence_encoder(embedded_by(atlas)), limit)


@features_app.command()
def show(
    feature: Feature,
    examples: Examples = 5,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
    json: flag.Json = False,
) -> None:
    """Show what is known of a feature, with its best examples."""
    with reporting():
        with open_atlas(atlas, sae) as opened:
            from steering.atlas import cards

            card = cards.show(opened, feature)
            best = cards.examples(opened, feature)[:examples]
            neuronpedia = opened.about.neuronpedia_id
        if json:
            from dataclasses import asdict

            link = _neuronpedia(neuronpedia, feature)
            told = {**card.to_dict(), "neuronpedia": link, "examples": [asdict(e) for e in best]}
            typer.echo(dump_json(told))
            return
        for line in _card_lines(card, neuronpedia):
            say(line)
        for each in best:
            say(_example_line(each))


def _card_lines(card: "Card", neuronpedia: str | None) -> list[str]:
    named = [f"{each.text} ({each.source}{_scored(each.score)})" for each in card.labels]
    lines = [f"feature {card.feature}: {named[0] if named else 'no label'}", *named[1:]]
    if card.fired:
        lines.append(
            f"fires on {card.density:.3%} of tokens, at most {card.max_act:.4g}, "
            f"{card.mean_act:.4g} on average where it fires"
        )
    else:
        lines.append("never seen to fire")
    for what, tokens in (("promotes", card.promoted), ("demotes", card.demoted)):
        if tokens:
            lines.append(f"{what}: {', '.join(repr(token.text) for token in tokens[:10])}")
    if card.output_score is not None:
        lines.append(f"output score {card.output_score:.3g}: {card.steerability}")
    if card.partners:
        near = (f"{each.feature} ({each.closeness:.2f})" for each in card.partners[:8])
        lines.append(f"fires with: {', '.join(near)}")
    link = _neuronpedia(neuronpedia, card.feature)
    return lines if link is None else [*lines, link]


def _neuronpedia(known: str | None, feature: int) -> str | None:
    """The feature's page there, where the SAE says which one that is."""
    return f"https://www.neuronpedia.org/{known}/{feature}" if known else None


def _scored(score: float | None) -> str:
    return "" if score is None else f", {score:.2f}"


def _example_line(example: "Example") -> str:
    marked = [
        f"«{piece}»" if at == example.at else piece for at, piece in enumerate(example.pieces)
    ]
    return f"{example.act:.4g}\t{''.join(marked)}".replace("\n", "⏎")


@features_app.command()
def near(
    feature: Feature,
    radius: Radius = None,
    limit: flag.Limit = 50,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
    json: flag.Json = False,
) -> None:
    """Walk the neighbourhood: the nearest decoder directions, in rings."""
    with reporting():
        own = load_sae(sae)
        own.require(feature)
        from steering.atlas import geometry, rings

        found = geometry.nearest(geometry.unit_rows(own), feature, limit)
        # Without radii of their own the rings end behind the last neighbour.
        radii = tuple(radius) if radius else (*rings.RADII, 2.0)
        names, closeness = names_of(own, atlas), _closeness(own, atlas, feature)
        _say_rings(rings.rings(found, radii), names, closeness, json=json)


def _closeness(sae: "Sae", path: Path | None, feature: int) -> dict[int, float]:
    """How much others fire on the same tokens, where the SAE has an atlas."""
    from steering.atlas.cards import partners

    opened = atlas_if_any(path, sae)
    if opened is None:
        return {}
    with opened:
        return {each.feature: each.closeness for each in partners(opened, feature)}


def _say_rings(
    rings: "Sequence[Ring]", names: dict[int, str], closeness: dict[int, float], *, json: bool
) -> None:
    if json:
        plain = [
            {
                "inner": ring.inner,
                "outer": ring.outer,
                "neighbours": [
                    {
                        "feature": n.feature,
                        "cosine": n.cosine,
                        "fires_together": closeness.get(n.feature),
                        "label": names.get(n.feature),
                    }
                    for n in ring.neighbours
                ],
            }
            for ring in rings
        ]
        typer.echo(dump_json(plain))
        return
    for ring in rings:
        if ring.neighbours:
            say(f"within {ring.outer:g}:")
        for each in ring.neighbours:
            beside = closeness.get(each.feature)
            fires = f", fires together {beside:.2f}" if beside is not None else ""
            say(f"{each.feature}\t{each.cosine:.3f}{fires}\t{names.get(each.feature, '')}")


@features_app.command()
def suggest(
    phrase: Phrase,
    limit: flag.Limit = 5,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
    json: flag.Json = False,
) -> None:
    """Suggest features for a phrase, with a strength to begin with."""
    with reporting():
        with open_atlas(atlas, sae) as opened:
            from steering.atlas.suggest import suggest as find

            found = find(opened, phrase, limit=limit, encode=_encoder(opened))
        if not found:
            raise AtlasError(
                f"No feature is found for {phrase!r}. Label features first: steer atlas label."
            )
        if json:
            typer.echo(dump_json([each.to_dict() for each in found]))
            return
        for each in found:
            said = each.found.label or each.found.why
            say(f"-f {each.intervention.feature}={each.intervention.strength:g}norm\t{said}")


def _encoder(atlas: "Atlas") -> "Encode | None":
    """What labels mean helps where it is known, and its absence does not end a search."""
    from steering.atlas.meaning import encoder_of

    try:
        return encoder_of(atlas)
    except AtlasError as error:
        say_note(f"What labels mean is left out. {error}")
        return None
