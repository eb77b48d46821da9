"""An SAE as the tensors steering needs: encode all, encode a few, decoder rows, a fingerprint.

SAELens loads it; nothing here changes a weight. One convention for every kind of SAE:

    activation  f * ||d||   after the activation function (Neuronpedia's folded values)
    direction   d / ||d||

so that activation times direction is what the feature writes, in the space in which the SAE works:
where the SAE rescales its input at run time, a token's scale carries that back to the stream.
Everything here is float32: a JumpReLU threshold in bfloat16 is off by up to 0.4 %.
"""

import hashlib
import json
import math
import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from sae_lens import SAE
from torch import Tensor

from steering.errors import FeatureError, UnsupportedSaeError
from steering.features import FeatureFacts, read_features_file
from steering.readers import ColumnReader, InputScaling, Reader, TopKReader
from steering.sae_sources import from_folder, from_registry

SUPPORTED = ("standard", "jumprelu", "topk", "gated")
"""Architectures whose inference form is exact here; BatchTopK and Matryoshka save as JumpReLU."""

FINGERPRINT_ROWS = 64


class Sae:
    """A frozen SAE and what is known of it.

    Attributes:
        name: How the person named it: `release/sae_id`, or the folder.
        inner: The SAELens object, float32 on the CPU, never modified.
        source: Where it was read from: a folder, or `(release, sae_id)` of the registry.
    """

    def __init__(
        self, name: str, inner: SAE[Any], *, source: Path | tuple[str, str] | None = None
    ) -> None:
        self.name = name
        self.inner = inner
        self.source = source
        self._refuse_inexact()
        if inner.hook_z_reshaping_mode:
            inner.turn_off_forward_pass_hook_z_reshaping()

    @classmethod
    def load(cls, source: str | Path | tuple[str, str]) -> Self:
        """Load `(release, sae_id)` from SAELens's registry, or a folder that SAELens can read.

        Raises:
            LoadError: No such release, id or folder.
            HubError: The hub refused or is out of reach.
            UnsupportedSaeError: Edits of this SAE would not be exact.
        """
        if isinstance(source, tuple):
            return cls("/".join(source), from_registry(*source), source=source)
        folder = Path(source).expanduser()
        return cls(str(source), from_folder(folder), source=folder)

    @property
    def folder(self) -> Path | None:
        """The folder it was read from, if it was."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def calibration_text(self) -> Path | None:
        """A text of its own kind beside it, for quick estimates."""
        own = self.folder / "calibration.txt" if self.folder else None
        return own if own and own.is_file() else None

    @property
    def architecture(self) -> str:
        """SAELens's name of the kind: standard, jumprelu, topk or gated."""
        return self.inner.cfg.architecture()

    @property
    def d_in(self) -> int:
        """Width of the stream it reads."""
        return self.inner.cfg.d_in

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.inner.cfg.d_sae

    @property
    def hook_name(self) -> str:
        """Where it reads and writes, as its metadata says."""
        return self.inner.cfg.metadata.hook_name or ""

    @property
    def model_name(self) -> str | None:
        """The model it was trained on, where its metadata says."""
        return self.inner.cfg.metadata.model_name

    @property
    def prepend_bos(self) -> bool:
        """Whether it was trained on texts that begin with BOS; True where unknown."""
        known = self.inner.cfg.metadata.prepend_bos
        return True if known is None else bool(known)

    @property
    def neuronpedia_id(self) -> str | None:
        """Its Neuronpedia address, such as `gpt2-small/8-res-jb`."""
        return self.inner.cfg.metadata.neuronpedia_id

    @cached_property
    def scaling(self) -> InputScaling:
        """What it does to the stream before it encodes."""
        asked = self.inner.cfg.metadata.model_from_pretrained_kwargs or {}
        centre = bool(asked.get("center_writing_weights"))
        mode = self.inner.cfg.normalize_activations
        return InputScaling(centre, mode, self.d_in)  # type: ignore[arg-type]

    @cached_property
    def decoder_norms(self) -> Float[Tensor, " d_sae"]:
        """Length of every decoder row."""
        return self.inner.W_dec.detach().norm(dim=-1)

    @cached_property
    def norms(self) -> Float[Tensor, " d_sae"]:
        """||d|| of every feature; 1 where the SAE's own activations are already in that unit."""
        if getattr(self.inner.cfg, "rescale_acts_by_decoder_norm", False):
            return torch.ones(self.d_sae)
        return self.decoder_norms

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """Activations of every feature, f * ||d||."""
        return self._encode_raw(x) * self.norms

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_in"]:
        """What the SAE makes of the stream; what it misses is the SAE error."""
        mean = x.float().mean(dim=-1, keepdim=True) if self.scaling.centre else 0.0
        return self.inner.decode(self._encode_raw(x)) + mean

    def _encode_raw(self, x: Tensor) -> Tensor:
        x = x.float()
        return self.inner.encode(x - x.mean(dim=-1, keepdim=True) if self.scaling.centre else x)

    def require(self, feature: int) -> None:
        """Raise FeatureError unless `feature` is one of this SAE's."""
        if not 0 <= feature < self.d_sae:
            raise FeatureError(
                f"Feature {feature} is not in SAE {self.name!r}, which has features 0 to "
                f"{self.d_sae - 1}. Check that the index and the SAE come from the same page."
            )

    def directions(self, features: Sequence[int]) -> Float[Tensor, "feature d_in"]:
        """Unit decoder rows, copied."""
        for feature in features:
            self.require(feature)
        rows = self.inner.W_dec.detach()[list(features)]
        norms = rows.norm(dim=-1, keepdim=True)
        dead = [f for f, norm in zip(features, norms.flatten().tolist(), strict=True) if norm == 0]
        if dead:
            raise FeatureError(
                f"Feature {dead[0]} of SAE {self.name!r} has a decoder row of length 0: it writes "
                "nothing, so it cannot steer. Choose another feature."
            )
        return rows / norms

    @torch.no_grad()
    def reader(self, features: Sequence[int]) -> Reader:
        """A reader of these features alone."""
        for feature in features:
            self.require(feature)
        return (
            self._topk_reader(features) if self.architecture == "topk" else self._columns(features)
        )

    def _columns(self, features: Sequence[int]) -> ColumnReader:
        at = list(features)
        W = self.inner.W_enc.detach()[:, at].double()
        norms = self.norms[at].double()
        lift = self._bias_into_encoder(W)
        if self.architecture == "gated":
            slope = self._weight("r_mag", at).exp()
            shift, gate = (
                lift * slope + self._weight("b_mag", at),
                -(lift + self._weight("b_gate", at)),
            )
        else:
            slope, shift = torch.ones_like(norms), lift + self._weight("b_enc", at)
            jump = self.architecture == "jumprelu"
            gate = (
                self._weight("threshold", at) - shift if jump else torch.full_like(norms, -math.inf)
            )
        if self.scaling.centre:
            W = W - W.mean(dim=0)
        # The ReLU opens at p = -shift / slope; slopes are positive.
        gate = torch.maximum(gate, -shift / slope)
        scaling = InputScaling(False, self.scaling.normalisation, self.d_in)
        parts = (W, slope * norms, shift * norms, gate)
        return ColumnReader(scaling, *(part.float().contiguous() for part in parts))

    def _topk_reader(self, features: Sequence[int]) -> TopKReader:
        cfg: Any = self.inner.cfg
        W = self.inner.W_enc.detach()
        bias = self._bias_into_encoder(W.double()) + self._weight("b_enc", slice(None))
        rank_by = self.decoder_norms if cfg.rescale_acts_by_decoder_norm else None
        norms = self.norms[list(features)]
        return TopKReader(self.scaling, W, bias.float(), rank_by, norms, tuple(features), cfg.k)

    def _bias_into_encoder(self, W: Tensor) -> Tensor:
        """What subtracting b_dec from the input adds to each pre-activation."""
        used = self.inner.b_dec.detach().double() * self.inner.cfg.apply_b_dec_to_input
        return -(used @ W)

    def _weight(self, name: str, at: list[int] | slice) -> Tensor:
        return getattr(self.inner, name).detach()[at].double()

    @cached_property
    def facts(self) -> dict[int, FeatureFacts]:
        """What the features file beside the SAE says, by feature; empty without one."""
        return read_features_file(self.folder) if self.folder is not None else {}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of key configuration, shapes and seeded rows in float32.

        The same for every device, dtype and file format in which these weights are held.
        """
        cfg = self.inner.cfg
        key = {
            "architecture": self.architecture,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "hook_name": self.hook_name,
            "normalize_activations": cfg.normalize_activations,
            "apply_b_dec_to_input": cfg.apply_b_dec_to_input,
            "k": getattr(cfg, "k", None),
            "rescale_acts_by_decoder_norm": getattr(cfg, "rescale_acts_by_decoder_norm", False),
            "centre": self.scaling.centre,
        }
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode())
        count = min(FINGERPRINT_ROWS, self.d_sae)
        rows = sorted(random.Random(0).sample(range(self.d_sae), count))
        weights = self.inner.state_dict()
        for name in sorted(weights):
            weight = weights[name].detach().float().cpu()
            digest.update(f"{name}{tuple(weight.shape)}".encode())
            part = weight[:, rows] if name == "W_enc" else weight
            part = part[rows] if part.shape[0] == self.d_sae else part
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def describe(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "hook_name": self.hook_name,
            "architecture": self.architecture,
            "d_sae": self.d_sae,
            "model_name": self.model_name,
            "neuronpedia_id": self.neuronpedia_id,
        }

    def _refuse_inexact(self) -> None:
        cfg = self.inner.cfg
        if self.architecture not in SUPPORTED:
            self._refuse(
                f"its kind is {self.architecture!r}, whose decoder does not write back "
                "exactly where its encoder reads"
            )
        if cfg.metadata.hook_name_out not in (None, self.hook_name):
            self._refuse(f"it reads {self.hook_name!r} and writes {cfg.metadata.hook_name_out!r}")
        if cfg.metadata.hook_head_index is not None:
            self._refuse(f"it reads one attention head ({cfg.metadata.hook_head_index}) only")
        if cfg.normalize_activations not in ("none", "layer_norm", "constant_norm_rescale"):
            self._refuse(
                f"its input normalisation {cfg.normalize_activations!r} needs a statistic "
                "that its files do not hold"
            )
        asked = {k: v for k, v in (cfg.metadata.model_from_pretrained_kwargs or {}).items() if v}
        unknown = sorted(set(asked) - {"center_writing_weights"})
        if unknown:
            self._refuse(f"it was trained on a model processed with {', '.join(unknown)}")

    def _refuse(self, why: str) -> None:
        raise UnsupportedSaeError(
            f"Cannot steer exactly with SAE {self.name!r}: {why}. Supported are SAEs of the kinds "
            f"{', '.join(SUPPORTED)} (BatchTopK and Matryoshka in their saved form) that read and "
            "write one place. Choose one of those."
        )
