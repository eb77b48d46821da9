"""The atlas that comes with the bundle: what is known of its first SAE's features, in one file.

Built as anyone's is, from held-out documents; its labels are the grammar's own. It is abridged so
that a clone stays small: `steer atlas build` makes one with everything.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from steering.atlas.build import BuildOptions, build
from steering.atlas.labels import add_labels, truth_labels
from steering.atlas.map import make_map
from steering.atlas.places import ATLAS_FILE
from steering.atlas.score import score
from steering.atlas.store import Atlas
from steering.atlas.texts import TextSource
from steering.atlas.windows import TOP_TENTH, pack, unpack
from steering.demo.corpus import HELD_OUT
from steering.demo.dictionary import MODEL_NAME
from steering.demo.grammar import documents
from steering.demo.recipe import Recipe
from steering.demo.tokens import render
from steering.models import LanguageModel
from steering.sae import Sae

_EXAMPLES = 5
_TOKENS = 10


def write_atlas(recipe: Recipe, out: Path) -> Path:
    """Build, label and lay out the atlas beside the first SAE, whose features are measured."""
    model = LanguageModel.load(str(out / "model"), device="cpu")
    sae = Sae.load(out / "sae")
    # The atlas keeps both names, and a clone has no folder `out`.
    model.name, sae.name = MODEL_NAME, "sae"
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
        for _ in score(atlas, model, sae):
            pass
        _abridge(atlas)
    compact(path)
    return path


def compact(path: Path) -> None:
    """Give back the space of what was deleted, and leave one file."""
    with closing(sqlite3.connect(path)) as db:
        # An index of words keeps what was deleted until its segments are merged.
        for index in ("label_stems", "label_words", "known_words"):
            db.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")
        db.commit()
        db.execute("VACUUM")
    for left in path.parent.glob(f"{path.name}?*"):
        left.unlink()


def _abridge(atlas: Atlas) -> None:
    """Keep the first of the strongest examples and of the tokens at each end, and no others."""
    examples = atlas.rows("SELECT feature, windows FROM examples WHERE tenth = ?", (TOP_TENTH,))
    ends = atlas.rows("SELECT feature, promoted, demoted FROM lens")
    with atlas.writing() as db:
        db.run("DELETE FROM examples")
        db.many(
            "INSERT INTO examples VALUES (?, ?, ?)",
            ((f, TOP_TENTH, pack(unpack(windows)[:_EXAMPLES])) for f, windows in examples),
        )
        db.many(
            "UPDATE lens SET promoted = ?, demoted = ? WHERE feature = ?",
            ((_first(promoted), _first(demoted), f) for f, promoted, demoted in ends),
        )
        db.run(
            "DELETE FROM promoted WHERE (token, feature) IN (SELECT token, feature FROM (SELECT "
            "token, feature, row_number() OVER (PARTITION BY feature ORDER BY gain DESC) AS place "
            "FROM promoted) WHERE place > ?)",
            (_TOKENS,),
        )


def _first(tokens: bytes) -> bytes:
    """Of tokens and their logits side by side, the first few."""
    return np.frombuffer(tokens, np.float64).reshape(2, -1)[:, :_TOKENS].tobytes()


def plain(rendered: str) -> str:
    """A rendered document without the marks at its ends, which every reader adds itself."""
    return rendered.removeprefix("<s>").removesuffix("</s>")
