"""Search by meaning: labels as vectors of an embedding model, stored beside the rest.

The model is asked for only here, and comes with the `embed` extra; anything that turns texts into
rows of numbers will do.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from steering.atlas.progress import Report
from steering.atlas.search import Found, described
from steering.atlas.store import Atlas
from steering.errors import AtlasError

Encode = Callable[[Sequence[str]], Float[ndarray, "text d"]]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_NEEDS_MODEL = (
    "Search by meaning needs an embedding model. Install it with "
    "pip install 'steering-playground[embed]'."
)
_PART = 1024
_MODEL = "SELECT value FROM about WHERE key = 'embedding_model'"


def sentence_encoder(name: str = DEFAULT_MODEL) -> Encode:
    """The encoder of a sentence-transformers model.

    Raises:
        AtlasError: The extra is not installed, or there is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]
    except ImportError as error:
        raise AtlasError(_NEEDS_MODEL) from error
    try:
        model = SentenceTransformer(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise AtlasError(f"Cannot load the embedding model {name!r}: {error}") from error
    return lambda texts: np.asarray(model.encode(list(texts)), np.float32)


def embed_labels(atlas: Atlas, encode: Encode, model: str, report: Report = lambda *_: None) -> int:
    """Store the vector of every label that has none of this model yet; how many were made.

    Those of another model go when the first of this one's are there to take their place.
    """
    new = model_of(atlas) != model
    lacking = "" if new else "WHERE id NOT IN (SELECT label FROM meanings)"
    waiting = atlas.rows(f"SELECT id, text FROM labels {lacking} ORDER BY id")
    for start in range(0, len(waiting), _PART):
        part = waiting[start : start + _PART]
        vectors = _unit(encode([text for _, text in part])).astype(np.float16)
        rows = [(label, vector.tobytes()) for (label, _), vector in zip(part, vectors, strict=True)]
        with atlas.writing() as db:
            if new and start == 0:
                db.run("DELETE FROM meanings")
                db.run("INSERT OR REPLACE INTO about VALUES ('embedding_model', ?)", (model,))
            db.many("INSERT OR REPLACE INTO meanings VALUES (?, ?)", rows)
        report("labels", start + len(part), len(waiting))
    return len(waiting)


def model_of(atlas: Atlas) -> str | None:
    """The embedding model that the atlas's vectors are of, if it was ever given any."""
    found = atlas.one(_MODEL)
    return None if found is None else str(found[0])


def embedded_by(atlas: Atlas) -> str:
    """The embedding model whose vectors an atlas holds.

    Raises:
        AtlasError: No label has a vector yet.
    """
    model = atlas.one(_MODEL)
    if model is None or atlas.one("SELECT 1 FROM meanings LIMIT 1") is None:
        raise AtlasError(
            f"No label in {str(atlas.path)!r} has a vector yet. Label features, then run "
            "`steer atlas embed`."
        )
    return model[0]


def missing(atlas: Atlas | None) -> str | None:
    """What search by meaning still lacks, in words; None where it can be used."""
    if atlas is None or atlas.one("SELECT 1 FROM meanings LIMIT 1") is None:
        return (
            "Search by meaning needs vectors of the labels. Label features, then run "
            "`steer atlas embed`."
        )
    return _NEEDS_MODEL if find_spec("sentence_transformers") is None else None


def encoder_of(atlas: Atlas) -> Encode | None:
    """The encoder that made an atlas's vectors; None without vectors or without the extra.

    Raises:
        AtlasError: The embedding model cannot be loaded.
    """
    return None if missing(atlas) else sentence_encoder(embedded_by(atlas))


def search_meaning(atlas: Atlas, words: str, encode: Encode, limit: int = 20) -> list[Found]:
    """Features whose labels mean most nearly what the words mean.

    Raises:
        AtlasError: No label has a vector yet.
    """
    embedded_by(atlas)
    rows = atlas.rows(
        "SELECT labels.feature, labels.text, meanings.vector FROM meanings "
        "JOIN labels ON labels.id = meanings.label ORDER BY labels.id"
    )
    (asked,) = _unit(encode([words]))
    vectors = np.frombuffer(b"".join(row[2] for row in rows), np.float16)
    nearness = vectors.reshape(len(rows), -1).astype(np.float32) @ asked
    why: dict[int, str] = {}
    for place in np.argsort(-nearness, kind="stable").tolist():
        feature, text, _ = rows[place]
        why.setdefault(feature, f"{text} (cosine {nearness[place]:.2f})")
        if len(why) == limit:
            break
    return described(atlas, why)


def _unit(vectors: Float[ndarray, "text d"]) -> Float[ndarray, "text d"]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
