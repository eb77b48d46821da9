"""Output scores: which features really move what the model writes (Arad et al. 2025).

On a neutral prompt a feature is added at the last token, at ten times the strongest activation
there; the score is (1 - rank / |V|) · p of the best-placed of the tokens that the feature promotes,
both after the edit (arXiv:2505.20063). Features that read a concept are often not those that write
it, and a score below 0.01 marks one that will not steer.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering.atlas.geometry import unit_rows
from steering.atlas.store import Atlas
from steering.errors import AtlasError
from steering.hook_points import HookPoint
from steering.hooks import next_logits_with, read_streams
from steering.memory import explain_memory
from steering.models import LanguageModel
from steering.sae import Sae

PROMPT = "From my experience,"
AMPLIFICATION = 10.0
BATCH = 64
"""Features in one forward pass."""


@dataclass(frozen=True)
class Scored:
    """How far scoring has come."""

    done: int
    total: int
    seconds_left: float
    """At the pace so far."""


def score(
    atlas: Atlas, model: LanguageModel, sae: Sae, *, restart: bool = False
) -> Iterator[Scored]:
    """Score every live feature that has no score yet, and keep each batch as it is done.

    Raises:
        AtlasError: The atlas has no statistics yet, or is another SAE's.
    """
    atlas.require_sae(sae)
    if atlas.about.median_norm is None:
        raise AtlasError(
            f"{str(atlas.path)!r} has no statistics, so it is not known which tokens a feature "
            "promotes. Run `steer atlas build --text FILE` first."
        )
    trial = _Trial.of(model, sae)
    if restart:
        with atlas.writing() as db:
            db.run("DELETE FROM scores")
    waiting = [
        feature
        for (feature,) in atlas.rows(
            "SELECT feature FROM stats WHERE fired > 0 AND feature NOT IN "
            "(SELECT feature FROM scores) ORDER BY feature"
        )
    ]
    began = time.monotonic()
    for start in range(0, len(waiting), BATCH):
        features = waiting[start : start + BATCH]
        with explain_memory(), model.lock:
            found = trial.scores(features, _promoted(atlas, features))
        with atlas.writing() as db:
            db.many(
                "INSERT OR REPLACE INTO scores VALUES (?, ?)",
                zip(features, found.tolist(), strict=True),
            )
        done = start + len(features)
        pace = (time.monotonic() - began) / done
        yield Scored(done, len(waiting), pace * (len(waiting) - done))


def _promoted(atlas: Atlas, features: Sequence[int]) -> Int[Tensor, "feature token"]:
    marks = ",".join("?" * len(features))
    rows = atlas.rows(
        f"SELECT promoted FROM lens WHERE feature IN ({marks}) ORDER BY feature", features
    )
    ids = np.stack([np.frombuffer(packed).reshape(2, -1)[0] for (packed,) in rows])
    return torch.from_numpy(ids.astype(np.int64))


@dataclass(frozen=True)
class _Trial:
    """The neutral prompt, and how much is added at its last token."""

    model: LanguageModel
    sae: Sae
    ids: tuple[int, ...]
    amount: float
    """In the SAE's activation units, times the token's scale: an amount in the stream."""
    rows: Float[Tensor, "feature d_in"]

    @classmethod
    def of(cls, model: LanguageModel, sae: Sae) -> "_Trial":
        text = model.encode(PROMPT, prepend_bos=sae.prepend_bos)
        point = HookPoint.parse(sae.hook_name)
        with model.lock:
            (seen,) = read_streams(model, [text.ids], [point])
        last = seen[point][-1:]
        _, scale = sae.scaling.apply(last)
        strongest = float(sae.encode(last).max()) * (1.0 if scale is None else float(scale))
        if strongest <= 0:
            raise AtlasError(
                f"No feature of SAE {sae.name!r} fires on the last token of {PROMPT!r}, so there "
                "is no measure of how much to add, and nothing would be steered. Check that the "
                "SAE was trained on this model."
            )
        return cls(model, sae, text.ids, AMPLIFICATION * strongest, unit_rows(sae))

    def scores(
        self, features: Sequence[int], promoted: Int[Tensor, "feature token"]
    ) -> Float[Tensor, " feature"]:
        """The output scores of some features."""
        deltas = self.amount * self.rows[list(features)]
        point = HookPoint.parse(self.sae.hook_name)
        return output_scores(next_logits_with(self.model, self.ids, point, deltas), promoted)


def output_scores(
    logits: Float[Tensor, "feature vocab"], promoted: Int[Tensor, "feature token"]
) -> Float[Tensor, " feature"]:
    """(1 - rank / |V|) · p of each feature's best-placed promoted token; rank counts from 0."""
    best = logits.gather(-1, promoted).amax(-1, keepdim=True)
    rank = (logits > best).sum(-1)
    chance = (best[:, 0] - logits.logsumexp(-1)).exp()
    return (1 - rank / logits.shape[-1]) * chance
