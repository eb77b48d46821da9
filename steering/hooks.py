"""Where and when: one plan on the residual stream for one forward pass.

Plain forward hooks on the pristine model. They live for a single pass and never across a yield, so
that a bystander on the same model is never steered. This module knows modules and positions, and no
arithmetic of edits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.linalg import vector_norm
from torch.utils.hooks import RemovableHandle

from steering.edits import Chunk, countable
from steering.errors import HookNameError
from steering.hook_points import HookPoint
from steering.models import LanguageModel, Site
from steering.plan import SitePlan, SteeringPlan

Apply = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SiteRecord:
    """What one hook did in one pass. Tensors, so that nothing waits for a device in mid-pass."""

    moved: Bool[Tensor, "row pos"]
    """Tokens whose stream really changed, after the cast to the model's dtype."""
    share: Float[Tensor, "row pos"]
    """||delta|| / ||stream||."""
    felt: Float[Tensor, "row pos"]
    """The smallest amount that the stream's dtype can show: anything below is rounded away."""
    amounts: Float[Tensor, "row pos slot"]
    allowed: Bool[Tensor, "row pos slot"] | None

    def allowed_count(self) -> Int[Tensor, "row slot"] | int:
        """Tokens that each slot was allowed to edit; one number where it is the same for all."""
        return self.amounts.shape[1] if self.allowed is None else self.allowed.sum(1)

    def acted_count(self) -> Int[Tensor, "row slot"]:
        """Tokens at which each slot wanted a change that the model's dtype can hold."""
        return (self.amounts.abs() > self.felt[..., None]).sum(1)


@dataclass
class PassRecord:
    """What one forward pass did, as evidence that steering is real: one entry a hook that fired.

    The properties are for after the pass.
    """

    sites: list[SiteRecord] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """How often a hook of the plan fired."""
        return len(self.sites)

    @cached_property
    def steered(self) -> list[list[int]]:
        """For each row, the indices within the pass of the tokens that any hook changed."""
        moved = [site.moved.tolist() for site in self.sites]
        rows = zip(*moved, strict=True)
        return [[i for i, hit in enumerate(zip(*row, strict=True)) if any(hit)] for row in rows]

    @cached_property
    def strongest(self) -> list[float]:
        """For each row, the largest ||delta|| / ||stream||."""
        peaks = [site.share.amax(1).tolist() for site in self.sites]
        return [max(row) for row in zip(*peaks, strict=True)]


@contextmanager
def steered(
    model: LanguageModel,
    plan: SteeringPlan,
    chunk: Chunk,
    history: Float[Tensor, "row watched column"],
) -> Iterator[PassRecord]:
    """Steer every forward pass inside the block; the model is unchanged afterwards.

    Args:
        model: Whose pristine module runs inside.
        plan: What to do.
        chunk: Which tokens the pass carries.
        history: What watched features read; this pass writes its own last columns.
    """
    record = PassRecord()
    with ExitStack() as hooks:
        for site in plan.sites:
            apply = _SiteHook(site, chunk, history, record)
            hooks.enter_context(_hooked(model.site(site.point), apply, site.point))
        yield record


@dataclass(frozen=True)
class _SiteHook:
    """Edits one tensor at one hook point and keeps the record."""

    plan: SitePlan
    chunk: Chunk
    history: Float[Tensor, "row watched column"]
    record: PassRecord

    def __call__(self, x: Float[Tensor, "row pos d_in"]) -> Float[Tensor, "row pos d_in"]:
        _require_shape(x, self.chunk, self.plan)
        chunk = self.chunk.to(x.device)
        full = x.float()
        acts, scales = self.plan.read(full)
        self._watch(acts, chunk)
        allowed = self.plan.allowed(chunk, self.history.to(x.device))
        amounts = self.plan.amounts(acts, allowed, chunk)
        delta = self.plan.delta(amounts, scales)
        edited = x + delta.to(x.dtype)
        length = vector_norm(full, dim=-1).clamp(min=1e-12)
        share = vector_norm(delta, dim=-1) / length
        # A unit direction's entries are to the stream's as the amount is to its length.
        felt = length * (torch.finfo(x.dtype).eps / 8)
        moved = (edited != x).any(-1)
        self.record.sites.append(SiteRecord(moved, share, felt, amounts, allowed))
        return edited

    def _watch(self, acts: Float[Tensor, "row pos source"], chunk: Chunk) -> None:
        for source, number in self.plan.watched:
            seen = torch.where(countable(chunk), acts[..., source], -torch.inf)
            self.history[:, number, chunk.offset :] = seen.to(self.history.device)


def _require_shape(x: Tensor, chunk: Chunk, plan: SitePlan) -> None:
    width = plan.directions.shape[1]
    if x.dim() != 3 or x.shape[:2] != chunk.special.shape or x.shape[2] != width:
        raise HookNameError(
            f"{plan.point.name} carries {tuple(x.shape)}, and the edit is for "
            f"{(*chunk.special.shape, width)} (rows, tokens, width). "
            "Choose an SAE that was trained on this model."
        )


@contextmanager
def _hooked(site: Site, apply: Apply, point: HookPoint) -> Iterator[None]:
    """Replace what goes into or comes out of one module by `apply` of it."""

    def before(
        _module: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (apply(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": apply(kwargs["hidden_states"])}

    def after(_module: object, _args: object, output: Any) -> object:
        if isinstance(output, Tensor):
            return apply(output)
        if isinstance(output, tuple) and isinstance(output[0], Tensor):
            return (apply(output[0]), *output[1:])
        raise HookNameError(
            f"{point.name} gives a {type(output).__name__}, which cannot be steered. "
            "Choose an SAE of the residual stream."
        )

    handle: RemovableHandle = (
        site.module.register_forward_pre_hook(before, with_kwargs=True)
        if site.side == "in"
        else site.module.register_forward_hook(after)
    )
    try:
        yield
    finally:
        handle.remove()


class _Enough(Exception):
    """Ends a pass behind the last place that was asked for."""


def read_streams(
    model: LanguageModel, texts: Sequence[Sequence[int]], points: Sequence[HookPoint]
) -> list[dict[HookPoint, Float[Tensor, "pos d_in"]]]:
    """The unsteered stream at some hook points for several texts, in float32 on the CPU.

    One pass, padded on the right (which no causal model sees), that ends at the last point.
    """
    seen: dict[HookPoint, Tensor] = {}

    def keep(point: HookPoint) -> Apply:
        def apply(x: Tensor) -> Tensor:
            seen[point] = x.float().cpu()
            if len(seen) == len(points):
                raise _Enough
            return x

        return apply

    longest = max(map(len, texts))
    ids = [[*text, *[0] * (longest - len(text))] for text in texts]
    with ExitStack() as hooks, torch.inference_mode(), suppress(_Enough):
        for point in points:
            hooks.enter_context(_hooked(model.site(point), keep(point), point))
        model.hf(torch.tensor(ids, device=model.device), use_cache=False)
    return [{p: seen[p][i, : len(text)] for p in points} for i, text in enumerate(texts)]


def stream_gradient(
    model: LanguageModel,
    ids: Sequence[int],
    point: HookPoint,
    measure: Callable[[Float[Tensor, "pos vocab"]], Float[Tensor, ""]],
) -> tuple[Float[Tensor, "pos d_in"], Float[Tensor, "pos d_in"]]:
    """The unsteered stream of a text at a hook point, and the gradient of a measure there.

    Args:
        model: Whose pristine module runs.
        ids: The text.
        point: Where.
        measure: One number from the logits of every position, in float32.

    Returns:
        Both in float32 on the CPU.
    """
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.detach().requires_grad_())
        return kept[-1]

    with torch.enable_grad(), _hooked(model.site(point), keep, point):
        output = model.hf(torch.tensor([list(ids)], device=model.device), use_cache=False)
        (gradient,) = torch.autograd.grad(measure(output.logits[0].float()), kept)
    return kept[0][0].detach().float().cpu(), gradient[0].float().cpu()


@torch.no_grad()
def next_logits_with(
    model: LanguageModel,
    ids: Sequence[int],
    point: HookPoint,
    deltas: Float[Tensor, "row d_in"],
) -> Float[Tensor, "row vocab"]:
    """Next-token logits of one text, a row for each vector added at its last token; on the CPU."""

    def add(x: Tensor) -> Tensor:
        moved = x[:, -1:] + deltas[:, None].to(x)
        return torch.cat([x[:, :-1], moved], dim=1)

    rows = torch.tensor([list(ids)], device=model.device).expand(len(deltas), -1)
    with _hooked(model.site(point), add, point):
        output = model.hf(rows, use_cache=False, **model.keep_logits(1))
    return output.logits[:, -1].float().cpu()
