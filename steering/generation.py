"""One batched, cached decode: `step(state) -> (state, Step)` is pure, and a row owns all it needs.

Row 0 and every variant, prompt and sample advance together. A row owns its prompt, position, step,
seed, cache length and plan row; noise is a function of (row.seed, row.step), so rows of one
comparison share it and differ only where steering made them differ. This module knows no feature.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from steering.detokenise import TextSoFar
from steering.edits import Chunk
from steering.errors import StrengthError
from steering.hooks import PassRecord, steered
from steering.interventions import Sampling
from steering.models import EncodedPrompt, LanguageModel
from steering.plan import SteeringPlan
from steering.records import BASELINE, Finish, Liveness, NewToken, Step
from steering.sampling import Draw, choose

NOISE_FLOOR = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Log-probabilities of two equal rows of one batch differ by less than this (matrix kernels)."""


@dataclass(frozen=True)
class RowState:
    """One row: what it is, and how far it has come."""

    name: str
    prompt: EncodedPrompt
    seed: int
    baseline: int | None
    """The index of the unsteered row with the same prompt and seed."""
    text: TextSoFar
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: Finish | None = None
    liveness: Liveness = field(default_factory=Liveness)

    @classmethod
    def start(cls, name: str, prompt: EncodedPrompt, seed: int, baseline: int | None) -> "RowState":
        """A row that has written nothing."""
        return cls(name, prompt, seed, baseline, TextSoFar.after(prompt.ids))

    @property
    def step(self) -> int:
        """Tokens written; 0 at the last prompt token."""
        return len(self.tokens)

    @property
    def draw(self) -> Draw:
        """What its next token depends on, beside the model."""
        return Draw(self.seed, self.step, (*self.prompt.ids, *self.tokens))

    @property
    def length(self) -> int:
        """Prompt and written tokens together."""
        return len(self.prompt.ids) + len(self.tokens)


def start_rows(asked: Sequence[tuple[str, EncodedPrompt, int]]) -> list[RowState]:
    """Rows of a name, prompt and seed, each beside the first baseline with its tokens and seed."""
    baselines: dict[tuple[tuple[int, ...], int], int] = {}
    for i, (name, prompt, seed) in enumerate(asked):
        if name == BASELINE:
            baselines.setdefault((prompt.ids, seed), i)
    return [
        RowState.start(
            name, prompt, seed, None if name == BASELINE else baselines.get((prompt.ids, seed))
        )
        for name, prompt, seed in asked
    ]


@dataclass(frozen=True)
class DecodeState:
    """A batch between two steps. The cache is forked by each step, so a state can be reused."""

    rows: tuple[RowState, ...]
    cache: DynamicCache
    ids: Int[Tensor, "row pos"]
    chunk: Chunk
    history: Float[Tensor, "row watched column"]
    allowed: tuple[Int[Tensor, "row slot"], ...] = ()
    """At each site, tokens that each slot was allowed to edit so far."""
    acted: tuple[Int[Tensor, "row slot"], ...] = ()
    """At each site, tokens at which each slot wanted a change so far."""

    @property
    def done(self) -> bool:
        """True when every row has finished."""
        return all(row.finish for row in self.rows)


@dataclass(frozen=True)
class Decoder:
    """A model, a plan and a way to choose tokens; row i of a state follows row i of the plan."""

    model: LanguageModel
    plan: SteeringPlan
    sampling: Sampling

    def start(self, rows: Sequence[RowState]) -> DecodeState:
        """Lay the prompts out, padded on the left."""
        lengths = [len(row.prompt.ids) for row in rows]
        width, device = max(lengths), self.model.device
        pads = [width - length for length in lengths]
        ids = [[*[0] * pad, *row.prompt.ids] for pad, row in zip(pads, rows, strict=True)]
        special = [[*[True] * p, *row.prompt.special] for p, row in zip(pads, rows, strict=True)]
        chunk = Chunk(
            offset=0,
            pads=torch.tensor(pads, device=device),
            prompt_length=torch.tensor(lengths, device=device),
            special=torch.tensor(special, device=device),
        )
        return DecodeState(
            rows=tuple(rows),
            cache=DynamicCache(config=self.model.hf.config),
            ids=torch.tensor(ids, device=device),
            chunk=chunk,
            history=torch.zeros(len(rows), self.plan.n_watched, 0, device=device),
        )

    def step(self, state: DecodeState) -> tuple[DecodeState, Step]:
        """Advance every running row by one token; the state given is left as it was."""
        with torch.inference_mode():
            logits, cache, history, record = self._forward(state)
            logprobs = logits.log_softmax(-1)
            draws = [None if row.finish else row.draw for row in state.rows]
            chosen = choose(logits, draws, self.sampling)
            moved = self._against_baseline(state.rows, logprobs)
        ids = chosen.tolist()
        picked = logprobs.gather(-1, chosen[:, None])[:, 0].tolist()
        _refuse_overflow(state.rows, picked, record)
        seen = _witnessed(state, record, moved)
        rows = tuple(
            row if row.finish else self._advance(row, token, logprob, live)
            for row, token, logprob, live in zip(state.rows, ids, picked, seen, strict=True)
        )
        return self._next(state, rows, chosen, (cache, history, record)), _report(state.rows, rows)

    def logits(self, state: DecodeState) -> Float[Tensor, "row vocab"]:
        """The next-token logits of a state, in float32; the state is left as it was."""
        with torch.inference_mode():
            return self._forward(state)[0]

    def _forward(
        self, state: DecodeState
    ) -> tuple[Float[Tensor, "row vocab"], DynamicCache, Tensor, PassRecord]:
        chunk, cache = state.chunk, _fork(state.cache)
        fresh = state.history.new_full((*state.history.shape[:2], state.ids.shape[1]), -torch.inf)
        history = torch.cat([state.history, fresh], dim=-1)
        columns = torch.arange(chunk.offset + state.ids.shape[1], device=chunk.pads.device)
        mask = (columns >= chunk.pads[:, None]).long() if self._ragged(state) else None
        with steered(self.model, self.plan, chunk, history) as record:
            output = self.model.hf(
                input_ids=state.ids,
                attention_mask=mask,
                position_ids=chunk.positions.clamp(min=0, max=self.model.n_ctx - 1),
                past_key_values=cache,
                use_cache=True,
                **self.model.keep_logits(1),
            )
        return output.logits[:, -1].float(), cache, history, record

    @staticmethod
    def _ragged(state: DecodeState) -> bool:
        return len({len(row.prompt.ids) for row in state.rows}) > 1

    def _against_baseline(
        self, rows: Sequence[RowState], logprobs: Float[Tensor, "row vocab"]
    ) -> list[float | None]:
        """KL(row || baseline) where a row's distribution differs for the first time, else None."""
        found: list[float | None] = [None] * len(rows)
        floor = NOISE_FLOOR.get(self.model.dtype, NOISE_FLOOR[torch.bfloat16])
        for i, row in enumerate(rows):
            if row.baseline is None or row.finish or row.liveness.first_difference is not None:
                continue
            if row.tokens != rows[row.baseline].tokens:
                continue
            gap = (logprobs[i] - logprobs[row.baseline]).nan_to_num(0.0, 0.0, 0.0)
            if gap.abs().max() > floor:
                found[i] = max(0.0, float((logprobs[i].exp() * gap).sum()))
        return found

    def _advance(self, row: RowState, token: int, logprob: float, live: Liveness) -> RowState:
        text = row.text
        if not (self.sampling.stop_at_eos and token in self.model.eos_ids):
            text = text.push(token, self.model.decode, self.sampling.stop)
        tokens, logprobs = (*row.tokens, token), (*row.logprobs, logprob)
        grown = replace(row, tokens=tokens, logprobs=logprobs, text=text)
        finish = self._finish(grown, token)
        if finish:
            text = text.flush(self.model.decode)
        return replace(grown, text=text, finish=finish, liveness=live)

    def _finish(self, row: RowState, token: int) -> Finish | None:
        if self.sampling.stop_at_eos and token in self.model.eos_ids:
            return "eos"
        if row.text.stopped:
            return "stop"
        if row.step >= self.sampling.max_new_tokens:
            return "length"
        return "context" if row.length >= self.model.n_ctx else None

    def _next(
        self,
        state: DecodeState,
        rows: tuple[RowState, ...],
        chosen: Int[Tensor, " row"],
        passed: tuple[DynamicCache, Tensor, PassRecord],
    ) -> DecodeState:
        cache, history, record = passed
        special = [[row.tokens[-1] in self.model.special_ids] for row in rows]
        chunk = state.chunk._replace(
            offset=state.chunk.offset + state.ids.shape[1],
            special=torch.tensor(special, device=chosen.device),
            written=not any(mark for (mark,) in special),
        )
        running = [not row.finish for row in state.rows]
        return DecodeState(
            rows=rows,
            cache=cache,
            ids=chosen[:, None],
            chunk=chunk,
            history=history,
            allowed=_summed(
                state.allowed, [site.allowed_count() for site in record.sites], running
            ),
            acted=_summed(state.acted, [site.acted_count() for site in record.sites], running),
        )


def _summed(
    total: Sequence[Tensor], new: Sequence[Tensor | int], running: Sequence[bool]
) -> tuple[Tensor, ...]:
    """Counts with those of one more pass, for the rows that were running in it."""
    if not total:
        return tuple(map(torch.as_tensor, new))
    if not all(running):
        new = [
            before.new_tensor(running)[:, None] * n for before, n in zip(total, new, strict=True)
        ]
    return tuple(map(torch.add, total, new))


def _fork(cache: DynamicCache) -> DynamicCache:
    """A cache that grows on its own: layers replace their tensors and never write into them."""
    forked = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    return forked


def _refuse_overflow(rows: Sequence[RowState], picked: Sequence[float], record: PassRecord) -> None:
    """A stream that left the range of its dtype writes nonsense that looks like text."""
    strongest = record.strongest or [0.0] * len(rows)
    bad = [
        row.name
        for row, logprob, share in zip(rows, picked, strongest, strict=True)
        if math.isnan(logprob) or not math.isfinite(share)
    ]
    if bad:
        raise StrengthError(
            f"The numbers of row {bad[0]!r} left the range of the model's dtype. Use a smaller "
            "strength there, or a wider dtype if this happens without any edit."
        )


def _witnessed(
    state: DecodeState, record: PassRecord, moved: Sequence[float | None]
) -> list[Liveness]:
    """Each row's liveness with what one more forward pass showed."""
    if not record.calls:
        return [row.liveness for row in state.rows]
    width = state.ids.shape[1]
    strongest, steered_at = record.strongest, record.steered
    found = []
    for i, (row, kl) in enumerate(zip(state.rows, moved, strict=True)):
        so_far = row.liveness
        at = tuple(row.length - width + column for column in steered_at[i])
        found.append(
            replace(
                so_far,
                hook_calls=so_far.hook_calls + record.calls,
                tokens_steered=so_far.tokens_steered + len(at),
                steered_positions=so_far.steered_positions + at,
                max_delta_ratio=max(so_far.max_delta_ratio, strongest[i]),
                first_difference=so_far.first_difference if kl is None else row.step,
                kl=so_far.kl if kl is None else kl,
            )
        )
    return found


def _report(before: Sequence[RowState], after: Sequence[RowState]) -> Step:
    """What became new between two states."""
    tokens = tuple(
        NewToken(
            row=i,
            name=new.name,
            token_id=new.tokens[-1],
            text=new.text.text[len(old.text.text) :],
            logprob=new.logprobs[-1],
            finish=new.finish,
        )
        for i, (old, new) in enumerate(zip(before, after, strict=True))
        if not old.finish
    )
    return Step(max(row.step for row in before if not row.finish), tokens)
