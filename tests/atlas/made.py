"""Small texts, and atlases of tiny SAEs built from them.

`steering` is imported inside the functions: jaxtyping's import hook must be in place first.
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import tiny

if TYPE_CHECKING:
    from steering.atlas.store import Atlas
    from steering.models import LanguageModel
    from steering.sae import Sae


def documents(count: int = 60, seed: int = 0) -> list[str]:
    """Texts of tiny words, of many lengths: some longer than the context, some of one word."""
    chance = random.Random(seed)
    words = [*tiny.WORDS, "<turn>"]
    return [" ".join(chance.choices(words, k=chance.choice((1, 5, 20, 90)))) for _ in range(count)]


def text_file(folder: Path, texts: list[str] | None = None) -> Path:
    """A text file of documents."""
    path = folder / "text.txt"
    path.write_text("\n---\n".join(documents() if texts is None else texts))
    return path


def model() -> "LanguageModel":
    """The tiny model."""
    from steering.models import LanguageModel

    return LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer(chat=True))


def build(path: Path, text: Path | str, sae: "Sae | None" = None, **options: Any) -> "Atlas":
    """An atlas of the tiny SAE."""
    return build_all({path: sae or tiny.sae()}, text, **options)[0]


def build_all(saes: "Mapping[Path, Sae]", text: Path | str, **options: Any) -> "list[Atlas]":
    """Atlases of several SAEs, from one pass."""
    from steering.atlas.build import BuildOptions, build
    from steering.atlas.store import Atlas
    from steering.atlas.texts import text_source

    build(model(), saes, text_source(str(text)), BuildOptions(**options))
    return [Atlas.open(path) for path in saes]


STATISTICS = ("about", "stats", "examples", "pairs", "lens", "promoted", "vocabulary")


def dump(atlas: "Atlas") -> dict[str, list[tuple[Any, ...]]]:
    """Everything a build wrote, to the byte."""
    return {table: atlas.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in STATISTICS}
