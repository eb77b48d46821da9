"""One batched, cached decode: `step(state) -> (state, Step)` is pure, and a row owns all it needs.

Row 0 and every variant, prompt and sample advance together. A row owns its prompt, position, step,
seed, cache length and plan row; noise is a function of (row.seed, row.step), so rows of one
comparison share it and differ only where steering made them differ. Rows that have finished leave
the batch: most answers are far shorter than the longest. This module knows no feature.
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
    """Every row, finished or not."""
    batch: tuple[int, ...]
    """Which rows the next pass carries: the running ones."""
    plan: SteeringPlan
    """What the rows of the batch follow."""
    cache: DynamicCache
    ids: Int[Tensor, "row pos"]
    chunk: Chunk
    history: Float[Tensor, "row watched column"]
    allowed: tuple[Int[Tensor, "every slot"], ...] = ()
    """At each site, tokens that each slot was allowed to edit so far."""
    acted: tuple[Int[Tensor, "every slot"], ...] = ()
    """At each site, tokens at which each slot wanted a change so far."""

    @property
    def done(self) -> bool:
        """True when every row has finished."""
        return all(row.finish for row in self.rows)

    @property
    def carried(self) -> list[RowState]:
        """The rows of the batch."""
        return [self.rows[i] for i in self.batch]


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
            batch=tuple(range(len(rows))),
            plan=self.plan,
            cache=DynamicCache(config=self.model.hf.config),
            ids=torch.tensor(ids, device=device),
            chunk=chunk,
            history=torch.zeros(len(rows), self.plan.n_watched, 0, device=device),
        )

    def step(self, state: DecodeState) -> tuple[DecodeState, Step]:
        """Advance every running row by one token; the state given is left as it was."""
        assert not state.done, "who steps asks first whether a row still runs"
        carried = state.carried
        with torch.inference_mode():
            logits, cache, history, record = self._forward(state)
            logprobs = logits.log_softmax(-1)
            chosen = choose(logits, [row.draw for row in carried], self.sampling)
            moved = self._against_baseline(state, logprobs)
        ids = chosen.tolist()
        picked = logprobs.gather(-1, chosen[:, None])[:, 0].tolist()
        _refuse_overflow(carried, picked, record)
        seen = _witnessed(state, record, moved)
        grown = map(self._advance, carried, ids, picked, seen)
        new = dict(zip(state.batch, grown, strict=True))
        rows = tuple(new.get(i, row) for i, row in enumerate(state.rows))
        after = self._next(state, rows, chosen, (cache, history, record))
        return _without_finished(after), _report(state.rows, rows)

    def logits(self, state: DecodeState) -> Float[Tensor, "row vocab"]:
        """The next-token logits of the batch, in float32; the state is left as it was."""
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
        with steered(self.model, state.plan, chunk, history) as record:
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
        self, state: DecodeState, logprobs: Float[Tensor, "row vocab"]
    ) -> list[float | None]:
        """KL(row || baseline) where a row's distribution differs for the first time, else None."""
        carried = state.carried
        found: list[float | None] = [None] * len(carried)
        floor = NOISE_FLOOR.get(self.model.dtype, NOISE_FLOOR[torch.bfloat16])
        place = {row: at for at, row in enumerate(state.batch)}
        for i, row in enumerate(carried):
            if row.baseline is None or row.liveness.first_difference is not None:
                continue
            # One that has written the same ends with its baseline, so that finds its place.
            if row.tokens != state.rows[row.baseline].tokens:
                continue
            gap = (logprobs[i] - logprobs[place[row.baseline]]).nan_to_num(0.0, 0.0, 0.0)
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
        special = [[rows[i].tokens[-1] in self.model.special_ids] for i in state.batch]
        chunk = state.chunk._replace(
            offset=state.chunk.offset + state.ids.shape[1],
            special=torch.tensor(special, device=chosen.device),
            written=not any(mark for (mark,) in special),
        )
        return replace(
            state,
            rows=rows,
            cache=cache,
            ids=chosen[:, None],
            chunk=chunk,
            history=history,
            allowed=_summed(state.allowed, [site.allowed_count() for site in record.sites], state),
            acted=_summed(state.acted, [site.acted_count() for site in record.sites], state),
        )


def _without_finished(state: DecodeState) -> DecodeState:
    """The state with the running rows alone in its batch, unless it is done.

    The cache is copied for it, as every pass does to grow it.
    """
    running = [at for at, row in enumerate(state.carried) if not row.finish]
    if len(running) in (0, len(state.batch)):
        return state
    at = torch.tensor(running)
    cache = _fork(state.cache)
    cache.batch_select_indices(at)
    chunk, here = state.chunk, at.to(state.ids.device)
    return replace(
        state,
        batch=tuple(state.batch[i] for i in running),
        plan=state.plan.of_rows(running),
        cache=cache,
        ids=state.ids[here],
        chunk=chunk._replace(
            pads=chunk.pads[here],
            prompt_length=chunk.prompt_length[here],
            special=chunk.special[here],
        ),
        history=state.history[here],
    )


def _summed(
    total: Sequence[Tensor], new: Sequence[Tensor | int], state: DecodeState
) -> tuple[Tensor, ...]:
    """Counts of every row, with those of one more pass."""
    if not total:
        return tuple(map(torch.as_tensor, new))
    grown = [before.clone() for before in total]
    for counts, n in zip(grown, new, strict=True):
        counts[list(state.batch)] += n
    return tuple(grown)


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
    """The liveness of each row of the batch, with what one more forward pass showed."""
    if not record.calls:
        return [row.liveness for row in state.carried]
    width = state.ids.shape[1]
    strongest, steered_at = record.strongest, record.steered
    found = []
    for i, (row, kl) in enumerate(zip(state.carried, moved, strict=True)):
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
