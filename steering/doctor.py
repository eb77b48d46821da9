"""Does this SAE belong to this model, at this hook, in this form? Figures, and the likely cause.

A wrong pair still writes fluent text, so it shows only in figures. Where the SAE explains too
little, the same text is read again with one thing changed (scale, centring, BOS, the layer); the
change that helps most is the likely cause. Pure functions over a session and its calibration text.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from steering.calibration import PACKAGED, Calibration, calibrate
from steering.hook_points import HookPoint

if TYPE_CHECKING:
    from steering.sae import Sae
    from steering.session import Session

MOST_UNEXPLAINED = 0.5
"""Published residual SAEs leave 0.05 to 0.35 on ordinary text; at 1 the mean does as well."""
LEAST_L0, MOST_L0_SHARE = 1.0, 0.5
"""Below one feature a token nothing is read; with half of all features on, nothing is sparse."""
HELPS = 0.6
"""A change that leaves less than this share of what was unexplained names the cause."""
BOS_OUTLIER = 4.0
"""Position 0 of most models is 10 to 1000 times the rest; below this it is no outlier."""
LAYERS_AROUND = 2
TOKENS_AT_ONCE = 256
"""Activations of a wide SAE are large: 256 tokens of 131,072 features take 134 MB."""

CENTRING = (
    "Likely cause: the SAE was trained on a model with centred writing weights, and its metadata "
    "does not say so. Set center_writing_weights in its model_from_pretrained_kwargs."
)
OVERFLOW = (
    "Likely cause: weights that are broken, or too large for the dtype. Load the model in float32."
)


@dataclass(frozen=True)
class Finding:
    """A figure that is off, and what most likely causes it."""

    what: str
    cause: str


@dataclass(frozen=True)
class Report:
    """The preflight of one SAE on one model.

    Attributes:
        name: The SAE's alias.
        sae: How it was named when loaded.
        trained_on: The model that its metadata names.
        hook_name: Where it reads and writes; the model has it, or the session would not exist.
        tokens: Calibration tokens that the figures rest on, position 0 and specials left out.
        unexplained: Fraction of variance unexplained.
        unexplained_centred: The same after subtracting each token's mean.
        centred: Whether the SAE's metadata asks for that, so that it is done already.
        l0: Features on at a token, on average.
        seen: Features that fired at least once; the others are dead, or rarer than this text.
        median_norm: Of the stream.
        decoder_norms: The smallest, median and largest length of a decoder row.
        bos_ratio: Norm at position 0 over the median elsewhere.
    """

    name: str
    sae: str
    fingerprint: str
    model: str
    trained_on: str | None
    hook_name: str
    prepend_bos: bool
    tokens: int
    unexplained: float
    unexplained_centred: float
    centred: bool
    l0: float
    seen: int
    d_sae: int
    median_norm: float
    decoder_norms: tuple[float, float, float]
    bos_ratio: float
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """True where no figure is off."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a figure is NaN where the model gives no numbers."""
        return {**asdict(self), "ok": self.ok}

    def to_text(self) -> str:
        """A line for each figure."""
        small, middle, large = self.decoder_norms
        outlier = "an outlier, left out of edits" if self.bos_ratio > BOS_OUTLIER else "no outlier"
        asked = "asked for by its metadata, done" if self.centred else "not asked for"
        lines = {
            f"{self.name}": f"{self.sae} on {self.model}",
            "fingerprint": self.fingerprint,
            "trained on": self.trained_on or "not said",
            "hook": f"{self.hook_name}, found",
            "tokens": f"{self.tokens}, {'with' if self.prepend_bos else 'without'} BOS in front",
            "variance unexplained": f"{self.unexplained:.1%}",
            "after centring": f"{self.unexplained_centred:.1%} ({asked})",
            "L0": f"{self.l0:.1f} features at a token",
            "features seen": f"{self.seen} of {self.d_sae}",
            "stream": f"median norm {self.median_norm:.4g}",
            "decoder rows": f"norms {small:.3g} to {large:.3g}, median {middle:.3g}",
            "position 0": f"{self.bos_ratio:.3g} × the median norm, {outlier}",
            "verdict": "fine" if self.ok else "something is off",
        }
        width = max(map(len, lines))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


@dataclass(frozen=True)
class _Figures:
    """What an SAE makes of some stream."""

    unexplained: float
    l0: float
    seen: int


def examine(session: "Session", alias: str) -> Report:
    """Read the calibration text through one SAE of a session and judge the pair."""
    sae = session.saes[alias]
    found = session.calibration(sae)
    stream = found.stream
    figures = _figures(sae, stream)
    norms = sae.inner.W_dec.detach().norm(dim=-1)
    median = float(stream.norm(dim=-1).median())
    report = Report(
        name=alias,
        sae=sae.name,
        fingerprint=sae.fingerprint,
        model=session.model.name,
        trained_on=sae.model_name,
        hook_name=sae.hook_name,
        prepend_bos=session.prepend_bos,
        tokens=found.tokens,
        unexplained=figures.unexplained,
        unexplained_centred=_figures(sae, _centred(stream)).unexplained,
        centred=sae.scaling.centre,
        l0=figures.l0,
        seen=figures.seen,
        d_sae=sae.d_sae,
        median_norm=median,
        decoder_norms=(float(norms.min()), float(norms.median()), float(norms.max())),
        bos_ratio=float(found.first.norm(dim=-1).median()) / max(median, 1e-12),
    )
    return _judged(report, session, sae)


def _figures(sae: "Sae", stream: Float[Tensor, "token d_in"]) -> _Figures:
    """Variance unexplained, L0 and features seen, a few tokens at a time."""
    spread = float((stream - stream.mean(dim=0)).square().sum())
    error, on = 0.0, torch.zeros(sae.d_sae)
    for part in stream.split(TOKENS_AT_ONCE):
        error += float((part - sae.reconstruct(part)).square().sum())
        on += (sae.encode(part) > 0).sum(dim=0)
    return _Figures(error / max(spread, 1e-12), float(on.sum()) / len(stream), int((on > 0).sum()))


def _centred(stream: Float[Tensor, "token d_in"]) -> Float[Tensor, "token d_in"]:
    return stream - stream.mean(dim=-1, keepdim=True)


def _judged(report: Report, session: "Session", sae: "Sae") -> Report:
    """The report with a finding for each figure that is off."""
    findings = []
    if not math.isfinite(report.unexplained):
        findings.append(Finding("The stream or the SAE holds NaN or infinite numbers.", OVERFLOW))
    elif report.unexplained > MOST_UNEXPLAINED:
        findings.append(
            Finding(
                f"{report.unexplained:.1%} of variance is unexplained, and an SAE that fits leaves "
                f"less than {MOST_UNEXPLAINED:.0%}.",
                _likely_cause(report, session, sae),
            )
        )
    elif report.unexplained_centred < HELPS * report.unexplained:
        findings.append(
            Finding(
                f"Subtracting each token's mean leaves {report.unexplained_centred:.1%} "
                f"unexplained instead of {report.unexplained:.1%}.",
                CENTRING,
            )
        )
    if not LEAST_L0 <= report.l0 <= MOST_L0_SHARE * sae.d_sae:
        findings.append(
            Finding(
                f"{report.l0:.1f} of {sae.d_sae} features are on at a token, on average.",
                "Likely cause: thresholds or biases of another scale than this stream (median "
                f"norm {report.median_norm:.4g}). Check the model and the input normalisation.",
            )
        )
    return replace(report, findings=tuple(findings))


def _likely_cause(report: Report, session: "Session", sae: "Sae") -> str:
    """The one change under which the SAE explains most, if any helps enough."""
    own = HookPoint.parse(sae.hook_name)
    around = {p: calibrated.stream for p, calibrated in _around(session, sae, own).items()}
    as_is = _figures(sae, around[own]).unexplained
    tried = {
        cause: _figures(sae, stream).unexplained
        for cause, stream in _changes(session, sae, own, around)
    }
    best = min(tried, key=lambda cause: tried[cause])
    if tried[best] < HELPS * as_is:
        return f"{best} That would leave {tried[best]:.1%}."
    if report.trained_on is not None and report.trained_on != report.model:
        return (
            f"Likely cause: the SAE was trained on {report.trained_on!r}, and this is "
            f"{report.model!r}. Load the model it was trained on."
        )
    return (
        "Neither another scale, centring, BOS nor a layer nearby explains it. Likely cause: "
        "weights of another checkpoint. Check that model and SAE belong together."
    )


def _changes(
    session: "Session", sae: "Sae", own: HookPoint, around: dict[HookPoint, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """The stream with one thing changed, and what it would mean if that helps."""
    stream = around[own]
    yield CENTRING, _centred(stream)
    factor = stream.shape[1] ** 0.5 / float(stream.norm(dim=-1).mean())
    yield (
        "Likely cause: a missing input scale: the SAE was trained on a stream whose norm was "
        f"brought to the square root of its width (× {factor:.3g}). Fold that factor into it.",
        stream * factor,
    )
    other_way = not session.prepend_bos
    flipped = calibrate(
        session.model, [own], prepend_bos=other_way, text=sae.calibration_text or PACKAGED
    )[own]
    what = "without" if session.prepend_bos else "with"
    yield (
        f"Likely cause: wrong BOS handling: it fits texts {what} BOS in front. Correct "
        "prepend_bos in its metadata.",
        flipped.stream,
    )
    for point, elsewhere in around.items():
        if point != own:
            yield f"Likely cause: wrong hook: it fits {point.name}. Correct hook_name.", elsewhere


def _around(session: "Session", sae: "Sae", own: HookPoint) -> dict[HookPoint, Calibration]:
    """The stream at the SAE's hook, and at the hooks of its kind a few layers away."""
    points = _points_of_kind(own, session.model.n_layers)
    at = points.index(own)
    near = points[max(0, at - LAYERS_AROUND) : at + LAYERS_AROUND + 1]
    return calibrate(
        session.model, near, prepend_bos=session.prepend_bos, text=sae.calibration_text or PACKAGED
    )


def _points_of_kind(own: HookPoint, n_layers: int) -> list[HookPoint]:
    """Every such place of a model, from the first layer on; the stream has one more than layers."""
    if own.kind in ("resid_pre", "resid_post"):
        return [HookPoint(0, "resid_pre"), *(HookPoint(i, "resid_post") for i in range(n_layers))]
    return [replace(own, layer=layer) for layer in range(n_layers)]
