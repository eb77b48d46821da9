"""The commands `steer features active` and `contrast`: what texts have of each feature."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from steering.cli import options as flag
from steering.cli.atlas_files import names_of, open_pair
from steering.cli.report import dump_json, reporting, say

if TYPE_CHECKING:
    from steering.models import EncodedPrompt, LanguageModel
    from steering.sae import Sae

Text = Annotated[str, typer.Argument(help="A text.")]
OtherText = Annotated[str, typer.Argument(help="Another text.")]
Rank = Annotated[
    Literal["activation", "attribution"],
    typer.Option("--by", help="What it has of a feature, or what the feature does there."),
]
Target = Annotated[
    str | None,
    typer.Option("--target", help="The next word that attribution is about; else the likeliest."),
]


def active(
    text: Text,
    by: Rank = "activation",
    target: Target = None,
    limit: flag.Limit = 20,
    atlas: flag.AtlasFile = None,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    json: flag.Json = False,
) -> None:
    """List the features that fire on a text."""
    with reporting():
        session, own = open_pair(model, sae, device, dtype)
        from steering.atlas.firing import active as find

        found = find(
            session.model, own, _encoded(session.model, own, text), target=target, limit=limit
        )
        names = names_of(own, atlas)
        ranked = found.by_activation if by == "activation" else found.by_attribution
        if json:
            features = [{**e.to_dict(), "label": names.get(e.feature)} for e in ranked]
            typer.echo(dump_json({"target": found.target, "features": features}))
            return
        for each in ranked:
            say(
                f"{each.feature}\t{each.activation:.4g} on {each.token!r}\t"
                f"{each.attribution:+.3f} logits for {found.target!r}\t"
                f"{names.get(each.feature, '')}"
            )


def _encoded(model: "LanguageModel", sae: "Sae", text: str) -> "EncodedPrompt":
    return model.encode(text, prepend_bos=sae.prepend_bos, room=0)


def contrast(
    text_a: Text,
    text_b: OtherText,
    limit: flag.Limit = 20,
    atlas: flag.AtlasFile = None,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    json: flag.Json = False,
) -> None:
    """List the features whose activation differs most between two texts."""
    with reporting():
        session, own = open_pair(model, sae, device, dtype)
        from steering.atlas.firing import contrast as find

        texts = (_encoded(session.model, own, text) for text in (text_a, text_b))
        found = find(session.model, own, *texts, limit=limit)
        names = names_of(own, atlas)
        sides: dict[str, Any] = {"a": found.first, "b": found.second}
        if json:
            plain = {
                side: [{**e.to_dict(), "label": names.get(e.feature)} for e in each]
                for side, each in sides.items()
            }
            typer.echo(dump_json(plain))
            return
        for side, each in sides.items():
            say(f"more in {side.upper()}:")
            for one in each:
                say(
                    f"{one.feature}\t{one.first:.4g} against {one.second:.4g}\t"
                    f"{names.get(one.feature, '')}"
                )
