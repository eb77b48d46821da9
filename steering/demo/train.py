"""`python -m steering.demo.train lm|sae|atlas|all`: rebuild the bundle from its seeds.

Each stage goes on from its last checkpoint in the work folder and is skipped once finished. A work
folder belongs to one recipe and one state of the world; another one refuses it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from steering.demo.choose import write_presets
from steering.demo.claims.asked import SAMPLES
from steering.demo.claims.report import claim_presets, in_order, measure_at_once
from steering.demo.claims.table import table
from steering.demo.dictionary import train_dictionary
from steering.demo.language_model import train_language_model
from steering.demo.processes import at_once
from steering.demo.publish import name_steering, write_bundle
from steering.demo.recipe import SHIPPED, SHORT, TOY, Recipe
from steering.demo.work_folder import enter, forget
from steering.errors import SteeringError
from steering.presets import Preset

app = typer.Typer(help=__doc__, no_args_is_help=True)
Work = Annotated[Path, typer.Option("--work", help="Folder for checkpoints; safe to delete.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder the bundle is written to: the shipped one, or WORK/bundle of a small."
    ),
]
Presets = Annotated[
    Path | None,
    typer.Option("--presets", help="Folder the presets are written to; likewise."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the corpus, the model and the SAEs.")]
Toy = Annotated[bool, typer.Option("--toy", help="Two minutes instead of an hour; steers nothing.")]
Short = Annotated[bool, typer.Option("--short", help="A smaller model, to try an edit.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda. Shipped files: cpu.")]
_WORK = Path(".demo-build")
_OUT = Path(__file__).parent / "bundle"
_PRESETS = Path(__file__).parents[2] / "presets"


@app.command()
def lm(
    work: Work = _WORK,
    toy: Toy = False,
    short: Short = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Write the corpus and train the language model."""
    recipe = _entered(toy, short, seed, work)
    typer.echo(f"language model: {train_language_model(recipe, work, device)}")


@app.command()
def sae(
    work: Work = _WORK,
    toy: Toy = False,
    short: Short = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Train an SAE on each of the recipe's layers of the finished language model."""
    recipe = _entered(toy, short, seed, work)
    calls = [(recipe, work, layer, device) for layer in recipe.sae_layers]
    # One accelerator is shared badly; processors are not.
    processes = recipe.processes if device == "cpu" else 1
    for folder in at_once(processes, train_dictionary, calls):
        typer.echo(f"SAE: {folder}")


@app.command()
def atlas(
    work: Work = _WORK,
    out: Out = None,
    presets: Presets = None,
    toy: Toy = False,
    short: Short = False,
    seed: Seed = 0,
) -> None:
    """Measure and label every feature, write the bundle, and choose the claims' presets."""
    recipe = _entered(toy, short, seed, work)
    out, presets = places(out, presets, work, small=toy or short)
    with _refusing():
        write_bundle(recipe, work, out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    typer.echo(f"bundle: {out} ({size / 1e6:.1f} MB)")
    showing: list[Preset] = []
    chosen = write_presets(out, presets, work / "choices", quick=toy, processes=recipe.processes)
    for preset, shows in chosen:
        typer.echo(f"preset: {preset.name}, {preset.summary}")
        if shows:
            showing.append(preset)
    name_steering(out, showing)


@app.command("all")
def all_stages(
    work: Work = _WORK,
    out: Out = None,
    presets: Presets = None,
    toy: Toy = False,
    short: Short = False,
    seed: Seed = 0,
    device: Device = "cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget every checkpoint first.")] = False,
) -> None:
    """Run the three stages, one after another, and print the claims table of what was made."""
    if fresh:
        with _refusing():
            forget(work)
    out, presets = places(out, presets, work, small=toy or short)
    lm(work, toy, short, seed, device)
    sae(work, toy, short, seed, device)
    atlas(work, out, presets, toy, short, seed)
    found = measure_at_once(
        out,
        claim_presets(presets),
        samples=4 if toy else SAMPLES,
        processes=_recipe(toy, short, seed).processes,
    )
    Console().print(table(in_order(found)))


def places(out: Path | None, presets: Path | None, work: Path, *, small: bool) -> tuple[Path, Path]:
    """Where the bundle and the presets go: a small training never replaces the shipped files."""
    return (
        out or (work / "bundle" if small else _OUT),
        presets or (work / "presets" if small else _PRESETS),
    )


def _entered(toy: bool, short: bool, seed: int, work: Path) -> Recipe:
    recipe = _recipe(toy, short, seed)
    with _refusing():
        enter(recipe, work)
    return recipe


@contextmanager
def _refusing() -> Iterator[None]:
    """End the command with what an error says."""
    try:
        yield
    except SteeringError as error:
        raise typer.BadParameter(str(error)) from error


def _recipe(toy: bool, short: bool, seed: int) -> Recipe:
    if toy and short:
        raise typer.BadParameter("--toy and --short are two sizes. Give one of them.")
    return replace(TOY if toy else SHORT if short else SHIPPED, seed=seed)


if __name__ == "__main__":
    app()
