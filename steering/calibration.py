"""What a model and an SAE read on a small text: norms, maxima, how well the SAE fits.

Quick estimates for when nothing better is known; the text is `calibration.txt` beside the SAE, or
the one packaged here. Position 0 and special tokens are left out of every figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from steering.errors import StrengthError
from steering.hook_points import HookPoint
from steering.hooks import read_streams
from steering.models import LanguageModel
from steering.sae import Sae

PACKAGED = Path(__file__).parent / "calibration.txt"
DOCUMENT_TOKENS = 128
BATCH = 8
PART = 256
ENOUGH = 10
"""A maximum is not estimated from fewer tokens that fired."""


@dataclass(frozen=True)
class Calibration:
    """The stream at one hook point over the calibration text, position 0 and specials left out."""

    stream: Float[Tensor, "token d_in"]
    first: Float[Tensor, "document d_in"]
    """The stream at position 0 of each document, for the outlier check."""

    @property
    def tokens(self) -> int:
        """How many tokens the figures rest on."""
        return self.stream.shape[0]

    def median_norm(self, sae: Sae | None) -> float:
        """Median norm of the stream, in the space in which the SAE's activations count."""
        if sae is None:
            return float(self.stream.norm(dim=-1).median())
        _, scale = sae.scaling.apply(self.stream)
        norms = self.stream.norm(dim=-1)
        return float((norms if scale is None else norms / scale[:, 0]).median())

    def estimate_max_act(self, sae: Sae, feature: int) -> tuple[float, int]:
        """The largest activation seen, and on how many tokens the feature fired.

        Raises:
            StrengthError: It fired on too few tokens to say anything.
        """
        acts = sae.reader([feature])(self.stream)[0][:, 0]
        fired = int((acts > 0).sum())
        if fired < ENOUGH:
            raise StrengthError(
                f"The maximum of feature {feature} of SAE {sae.name!r} is unknown: it fired on "
                f"{fired} of {self.tokens} calibration tokens, and an estimate needs {ENOUGH}. "
                "Give max_act yourself (Neuronpedia shows it), or use unit 'norm'."
            )
        return float(acts.max()), fired

    def unexplained(self, sae: Sae) -> float:
        """Fraction of variance unexplained: squared SAE error over squared deviation."""
        # In parts, since a wide SAE's activations for all tokens at once can fill the memory.
        parts = self.stream.split(PART)
        error = sum(float((part - sae.reconstruct(part)).square().sum()) for part in parts)
        spread = self.stream - self.stream.mean(dim=0)
        return error / float(spread.square().sum())


def calibrate(
    model: LanguageModel, points: Sequence[HookPoint], *, prepend_bos: bool, text: Path = PACKAGED
) -> dict[HookPoint, Calibration]:
    """Run the calibration text through the model once and keep the stream at some hook points."""
    limit = min(DOCUMENT_TOKENS, model.n_ctx - 1)
    documents = text.read_text(encoding="utf-8").split("\n---\n")
    texts = [_tokens(model, document.strip(), prepend_bos, limit) for document in documents]
    # Of like length together, so that little of a batch is padding.
    texts = sorted((ids for ids in texts if len(ids) > 1), key=len)
    kept: dict[HookPoint, list[Tensor]] = {point: [] for point in points}
    firsts: dict[HookPoint, list[Tensor]] = {point: [] for point in points}
    for batch in (texts[at : at + BATCH] for at in range(0, len(texts), BATCH)):
        for ids, streams in zip(batch, read_streams(model, batch, points), strict=True):
            ordinary = [at for at, i in enumerate(ids) if at and i not in model.special_ids]
            for point, stream in streams.items():
                firsts[point].append(stream[:1])
                kept[point].append(stream[ordinary])
    return {p: Calibration(torch.cat(kept[p]), torch.cat(firsts[p])) for p in points}


def _tokens(model: LanguageModel, document: str, prepend_bos: bool, limit: int) -> list[int]:
    ids = model.tokenizer.encode(document, add_special_tokens=False)
    bos = model.tokenizer.bos_token_id
    return ([bos, *ids] if prepend_bos and bos is not None else ids)[:limit]
