"""A decode under way: yields steps, can be closed, and holds the record of what came out so far."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from steering.errors import InertSteeringError
from steering.generation import Decoder, DecodeState, RowState
from steering.inertia import Evidence, inert_edits, notes
from steering.interventions import Message, Resolved
from steering.memory import explain_memory
from steering.records import Comparison, Row, Step, Timing

About = tuple[dict[str, Any], dict[str, dict[str, Any]]]


class Stream:
    """Iterate for steps; read `comparison` at any time; close to stop early.

    No hook outlives a step, so closing leaves the model clean at once. The lock is held for one
    step at a time, so several streams on one session take turns.
    """

    def __init__(
        self,
        decoder: Decoder,
        rows: Sequence[tuple[str | tuple[Message, ...], RowState]],
        interventions: Sequence[Sequence[Resolved]],
        *,
        about: About,
        warnings: Sequence[str],
        lock: threading.RLock,
        allow_inert: bool,
    ) -> None:
        self._decoder = decoder
        self._prompts = [prompt for prompt, _ in rows]
        self._interventions = interventions
        self._about = about
        self._warnings = tuple(warnings)
        self._lock = lock
        self._allow_inert = allow_inert
        self._state: DecodeState | None = decoder.start([row for _, row in rows])
        self._rows: Sequence[RowState] = [row for _, row in rows]
        self._evidence: Evidence | None = None
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last = self._began
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> Step:
        if self._state is None:
            raise StopIteration
        if self._state.done:
            self.close()
            self._alarm()
            raise StopIteration
        with self._lock, explain_memory():
            state, step = self._decoder.step(self._state)
        self._rows = state.rows
        self._evidence = Evidence(self._decoder.plan, state.allowed, state.acted)
        # Another thread may have closed the stream during the step.
        self._state = None if self._closed else state
        self._last = time.perf_counter()
        self._first = self._first or self._last
        return step

    def close(self) -> None:
        """End the decode and let its cache go; what was written stays in `comparison`."""
        self._closed = True
        self._state = None

    def finish(self) -> Comparison:
        """Write every row to its end, and tell what was written."""
        with self:
            for _ in self:
                pass
        return self.comparison

    @property
    def comparison(self) -> Comparison:
        """The record of what was written so far; unfinished rows are marked interrupted."""
        model, saes = self._about
        rows = tuple(self._row(i, row) for i, row in enumerate(self._rows))
        inert = self._inert() if self._finished else []
        timing = Timing(
            seconds=self._last - self._began,
            first_token_seconds=(self._first or self._last) - self._began,
            tokens=sum(row.step for row in self._rows),
        )
        warnings = (*self._warnings, *inert)
        return Comparison(model, saes, self._decoder.sampling, timing, rows, warnings)

    @property
    def _finished(self) -> bool:
        return all(row.finish for row in self._rows)

    def _row(self, i: int, row: RowState) -> Row:
        found = notes(self._interventions[i], i, self._evidence)
        text = row.text if row.finish else row.text.flush(self._decoder.model.decode)
        return Row(
            name=row.name,
            prompt=self._prompts[i],
            prompt_format=row.prompt.format,
            prompt_ids=row.prompt.ids,
            seed=row.seed,
            text=text.text,
            token_ids=row.tokens,
            logprobs=row.logprobs,
            finish=row.finish or "interrupted",
            interventions=tuple(self._interventions[i]),
            liveness=replace(row.liveness, notes=tuple(found)),
        )

    def _inert(self) -> list[str]:
        return [
            f"Row {row.name!r}: {problem}"
            for i, row in enumerate(self._rows)
            for problem in inert_edits(self._interventions[i], i, row, self._evidence)
        ]

    def _alarm(self) -> None:
        problems = self._inert()
        if problems and not self._allow_inert:
            raise InertSteeringError(
                " ".join(dict.fromkeys(problems))
                + " Pass allow_inert=True to get the texts with a warning instead.",
                self.comparison,
            )
