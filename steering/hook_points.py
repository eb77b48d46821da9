"""Names of places in a model, parsed once: TransformerLens's `blocks.12.hook_resid_post`."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from steering.errors import HookNameError

Kind = Literal["resid_pre", "z", "attn_out", "mlp_out", "resid_post"]
KINDS: tuple[Kind, ...] = ("resid_pre", "z", "attn_out", "mlp_out", "resid_post")
"""The kinds of place that can be edited, in the order in which a block reaches them."""


@dataclass(frozen=True)
class HookPoint:
    """A parsed hook name. `resid_pre[L]` and `resid_post[L-1]` are one place and compare equal."""

    layer: int
    kind: Kind

    @classmethod
    def parse(cls, hook_name: str) -> Self:
        """Read a TransformerLens name such as `blocks.12.hook_resid_post`, or raise."""
        layer, _, place = hook_name.removeprefix("blocks.").partition(".")
        places: dict[str, Kind] = {_suffix(kind): kind for kind in KINDS}
        kind = places.get(place)
        if kind is None or not layer.isdecimal() or not hook_name.startswith("blocks."):
            raise HookNameError(
                f"Cannot steer at {hook_name!r}: edits are exact at blocks.<layer>.<place> where "
                f"<place> is one of {', '.join(places)}. Choose an SAE of one of those places."
            )
        return cls(int(layer), kind).canonical

    @property
    def canonical(self) -> Self:
        """The one name of this place."""
        if self.kind == "resid_pre" and self.layer > 0:
            return replace(self, layer=self.layer - 1, kind="resid_post")
        return self

    @property
    def name(self) -> str:
        """The TransformerLens name."""
        return f"blocks.{self.layer}.{_suffix(self.kind)}"

    @property
    def order(self) -> tuple[int, int]:
        """Sorts hook points as a forward pass reaches them."""
        return self.layer, KINDS.index(self.kind)


def _suffix(kind: Kind) -> str:
    return "attn.hook_z" if kind == "z" else f"hook_{kind}"
