"""The atlas that comes with the bundle: what is known of its first SAE's features, in one file.

Built as anyone's is, from held-out documents; its labels are the grammar's own.
"""

from pathlib import Path

from steering.atlas.build import BuildOptions, build
from steering.atlas.labels import add_labels, truth_labels
from steering.atlas.map import make_map
from steering.atlas.places import ATLAS_FILE
from steering.atlas.store import Atlas
from steering.atlas.texts import TextSource
from steering.demo.corpus import HELD_OUT
from steering.demo.grammar import documents
from steering.demo.recipe import Recipe
from steering.demo.tokens import render
from steering.models import LanguageModel
from steering.sae import Sae


def write_atlas(recipe: Recipe, out: Path) -> Path:
    """Build, label and lay out the atlas beside the first SAE, whose features are measured."""
    model = LanguageModel.load(str(out / "model"), device="cpu")
    sae = Sae.load(out / "sae")
    path = out / "sae" / ATLAS_FILE
    path.unlink(missing_ok=True)
    seed = recipe.seed + HELD_OUT
    source = TextSource(
        f"held-out documents of the bundled grammar, seed {seed}",
        lambda: (plain(render(each)) for each in documents(seed, 10**9)),
    )
    build(model, {path: sae}, source, BuildOptions(recipe.atlas_tokens))
    with Atlas.open(path, sae) as atlas:
        add_labels(atlas, truth_labels(sae.facts))
        make_map(atlas, sae, seed=recipe.seed)
    return path


def plain(rendered: str) -> str:
    """A rendered document without the marks at its ends, which every reader adds itself."""
    return rendered.removeprefix("<s>").removesuffix("</s>")
