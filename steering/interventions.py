"""What a person asks for: the one schema behind presets, links, flags, the page and the API.

Pydantic models, frozen, unknown fields refused. This module knows words and numbers: no tensor, no
model, no SAE. `steering.plan` turns these into tensors.

Let f be a feature's activation, d its unit decoder direction and c the raw coefficient that
`strength` comes to. Every edit replaces f by g(f) and keeps the SAE's error, x' = x + (g(f) - f) d:

    add     g(f) = f + c          activation addition (ActAdd, arXiv:2308.10248)
    clamp   g(f) = c              Templeton et al. 2024, "Scaling Monosemanticity"
    floor   g(f) = max(f, c)
    cap     g(f) = min(f, c)
    scale   g(f) = strength * f   acts only where the feature fires; 1 is neutral
    ablate  g(f) = 0
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_serializer,
    model_validator,
)

Edit = Literal["add", "clamp", "floor", "cap", "scale", "ablate"]
Effect = Literal["boost", "reduce", "none"]
Unit = Literal["max_act", "norm", "raw"]
UNITS: tuple[Unit, ...] = ("max_act", "norm", "raw")
UNITLESS: frozenset[str] = frozenset({"scale", "ablate"})
SETS_VALUE: frozenset[str] = frozenset({"clamp", "floor", "cap", "scale", "ablate"})


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"is {value}; give a finite number")
    return value


Finite = Annotated[float, AfterValidator(_finite)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Kind(_Frozen):
    """One of several kinds, told apart by `kind`: written out also where defaults are left out."""

    kind: Any

    @model_serializer(mode="wrap")
    def _with_kind(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"kind": self.kind, **serialize(self)}


class Positions(_Frozen):
    """Which tokens an edit touches, in absolute positions of the row (position 0 is the first).

    By default not position 0 whatever token it holds, no special token, never padding. "generated"
    includes the last prompt token, since that is the one that makes the first new token; it is
    edited even where it is a special token, as chat templates often end on one.
    """

    where: Literal["all", "prompt", "generated"] = "all"
    start: int = Field(default=0, ge=0, lt=2**63)
    stop: int | None = Field(default=None, ge=1, lt=2**63)
    first: bool = False
    special: bool = False

    @classmethod
    def paper(cls) -> Self:
        """Every position of every input, as Templeton et al. 2024 steer."""
        return cls(first=True, special=True)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"positions stop at {self.stop}, which is not after {self.start}")
        return self


class Schedule(_Frozen):
    """How the edit's delta changes while the row writes: t = 0 at the last prompt token.

    constant    factor 1
    ramp        min(1, (t + 1) / tokens)
    decay       0.5 ** (t / tokens): `tokens` is the half-life
    stop_after  1 while t < tokens, then 0
    every_n     1 where t is a multiple of `tokens`, else 0

    Prompt positions before the last have factor 1.
    """

    kind: Literal["constant", "ramp", "decay", "stop_after", "every_n"] = "constant"
    tokens: int = Field(default=1, ge=1, lt=2**63)


class Condition(_Frozen):
    """Edit only while another feature is above a threshold.

    The feature is read at its own hook before any edit there, causally at each absolute position.
    On "prompt" the maximum over the prompt gates the generated positions (with the last prompt
    token) and the rest of the prompt stays unedited, since it is not yet known there; on "recent"
    the maximum over the last `tokens` positions, this one included, gates each position.
    """

    feature: int = Field(ge=0)
    sae: str | None = None
    above: Finite = 0.0
    on: Literal["prompt", "recent"] = "recent"
    tokens: int = Field(default=1, ge=1, lt=2**63)


class Direction(_Frozen):
    """A plain direction from a safetensors file: one vector of the model's width."""

    path: str
    tensor: str | None = None
    hook_name: str


class RandomControl(Kind):
    """The same per-token coefficients along a seeded random unit vector."""

    kind: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0, lt=2**63)


class FeatureControl(Kind):
    """The same per-token coefficients along another feature's direction, of the same SAE."""

    kind: Literal["feature"] = "feature"
    feature: int = Field(ge=0)


Control = Annotated[RandomControl | FeatureControl, Field(discriminator="kind")]


class Intervention(_Frozen):
    """One edit of one SAE feature (or of one plain direction).

    `strength` counts `unit`: multiples of the feature's `max_act`, fractions of the median norm of
    the residual stream, or raw activation. `scale` takes a plain factor and `ablate` nothing; for
    both `unit` is None. Activations are f * ||d||, after the activation function.
    """

    feature: int | None = Field(default=None, ge=0)
    direction: Direction | None = None
    sae: str | None = None
    edit: Edit = "clamp"
    strength: Finite | None = None
    unit: Unit | None = None
    max_act: Annotated[Finite, Field(gt=0)] | None = None
    max_act_source: str | None = None
    """Where a `max_act` that is given was found; whoever gave it, if left out."""
    positions: Positions = Positions()
    schedule: Schedule = Schedule()
    condition: Condition | None = None
    control: Control | None = None
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _default_unit(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        edit, unit = data.get("edit", "clamp"), data.get("unit")
        if edit in UNITLESS and unit is not None:
            raise ValueError(f"{edit} carries no unit, and {unit!r} was given; leave it out")
        return data if edit in UNITLESS else {**data, "unit": unit or "max_act"}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.feature is None) == (self.direction is None):
            raise ValueError("name either a feature or a direction")
        if self.edit == "ablate" and self.strength is not None:
            raise ValueError("ablate sets the feature to 0 and takes no strength; leave it out")
        if self.edit != "ablate" and self.strength is None:
            raise ValueError(f"{self.edit} needs a strength")
        if self.max_act_source is not None and self.max_act is None:
            raise ValueError("max_act_source says where max_act was found; give max_act too")
        if self.direction is not None:
            self._check_direction()
        return self

    def _check_direction(self) -> None:
        if self.edit != "add":
            raise ValueError(f"a plain direction has no activation to {self.edit}; use edit='add'")
        if self.sae is not None:
            raise ValueError("a plain direction belongs to no SAE; leave `sae` out")
        if isinstance(self.control, FeatureControl):
            raise ValueError("a plain direction's control is a random one")

    @property
    def is_neutral(self) -> bool:
        """True for an edit that changes nothing wherever it acts: add 0, scale 1, switched off."""
        return not self.enabled or (self.edit, self.strength) in {("add", 0.0), ("scale", 1.0)}

    @property
    def effect(self) -> Effect:
        """Whether it means more of the feature or less of it; none where it changes nothing."""
        if self.is_neutral:
            return "none"
        strength = self.strength or 0.0
        more = {
            "add": strength > 0,
            "clamp": strength > 0,
            "floor": True,
            "cap": False,
            "scale": strength > 1,
            "ablate": False,
        }
        return "boost" if more[self.edit] else "reduce"

    @property
    def must_act(self) -> bool:
        """True for an edit that changes every token it reaches, unless it finds its value there."""
        return self.condition is None and not self.is_neutral and self.edit in {"add", "clamp"}

    def label(self) -> str:
        """The edit in a few words: `feature 2017: clamp 10 × max_act`."""
        target = f"feature {self.feature}" if self.direction is None else self.direction.path
        amount = "" if self.strength is None else f" {self.strength:g}"
        return f"{target}: {self.edit}{amount}{f' × {self.unit}' if self.unit else ''}"


class Message(_Frozen):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(_Frozen):
    """How tokens are chosen, the same for every row of a comparison.

    Noise is a function of (seed, step), so rows differ only where steering made them differ.
    `temperature=0` is greedy. The penalty divides positive and multiplies negative logits of tokens
    already in the row, prompt included (Keskar et al. 2019, arXiv:1909.05858).
    """

    max_new_tokens: int = Field(default=60, ge=1)
    temperature: Annotated[Finite, Field(ge=0)] = 0.7
    top_k: int | None = Field(default=None, ge=1)
    top_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    min_p: Annotated[Finite, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[Finite, Field(gt=0)] = 1.0
    seed: int = Field(default=0, ge=0, lt=2**63)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    stop_at_eos: bool = True


class Resolved(_Frozen):
    """An intervention with everything that its number depends on, as records and presets keep it.

    `raw` is the coefficient c in the SAE's activation units (f * ||d||); None for scale and ablate.
    """

    intervention: Intervention
    sae: str | None = None
    hook_name: str
    condition_sae: str | None = None
    raw: Finite | None = None
    max_act: Finite | None = None
    max_act_source: str | None = None
    median_norm: Finite | None = None
