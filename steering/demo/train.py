"""`python -m steering.demo.train lm|sae|features|all`: rebuild the bundle from its seeds.

Each stage goes on from its last checkpoint in the work folder and is skipped once finished.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from steering.demo.dictionary import train_dictionary
from steering.demo.language_model import train_language_model
from steering.demo.publish import write_bundle
from steering.demo.recipe import SHIPPED, TOY, Recipe

app = typer.Typer(help=__doc__, no_args_is_help=True)
Work = Annotated[Path, typer.Option("--work", help="Folder for checkpoints; safe to delete.")]
Out = Annotated[Path, typer.Option("--out", help="Folder the bundle is written to.")]
Toy = Annotated[bool, typer.Option("--toy", help="Seconds instead of an hour; steers nothing.")]
_WORK = Path(".demo-build")
_OUT = Path(__file__).parent / "bundle"


@app.command()
def lm(work: Work = _WORK, toy: Toy = False) -> None:
    """Write the corpus and train the language model."""
    typer.echo(f"language model: {train_language_model(_recipe(toy), work)}")


@app.command()
def sae(work: Work = _WORK, toy: Toy = False) -> None:
    """Train the SAE on the finished language model."""
    typer.echo(f"SAE: {train_dictionary(_recipe(toy), work)}")


@app.command()
def features(work: Work = _WORK, out: Out = _OUT, toy: Toy = False) -> None:
    """Measure every feature, score the targets, and write the bundle."""
    write_bundle(_recipe(toy), work, out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    typer.echo(f"bundle: {out} ({size / 1e6:.1f} MB)")


@app.command("all")
def all_stages(
    work: Work = _WORK,
    out: Out = _OUT,
    toy: Toy = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget every checkpoint first.")] = False,
) -> None:
    """Run the three stages, one after another."""
    if fresh and work.exists():
        shutil.rmtree(work)
    lm(work, toy)
    sae(work, toy)
    features(work, out, toy)


def _recipe(toy: bool) -> Recipe:
    return TOY if toy else SHIPPED


if __name__ == "__main__":
    app()
