"""Builds atlases: one pass over a text for any number of SAEs, stopped and taken up at will.

The stream is read as in generation, and only the tokens that generation would steer are counted:
not position 0, not special ones. Whatever happens, the atlas file is the old one or the new one.
The model is taken for one batch at a time, so that texts can be written meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from steering.atlas.checkpoint import Progress, Recipe, checkpoint_path, load, save
from steering.atlas.owner import owning
from steering.atlas.progress import Report
from steering.atlas.publish import publish
from steering.atlas.store import Atlas
from steering.atlas.tally import Tally
from steering.atlas.texts import TextSource
from steering.atlas.token_rows import ROW_TOKENS, Group, grouped, token_rows
from steering.atlas.windows import Firings, Tokens
from steering.errors import AtlasError
from steering.hook_points import HookPoint
from steering.hooks import read_streams
from steering.memory import explain_memory
from steering.models import LanguageModel
from steering.sae import Sae

BATCH_TOKENS = 4096
"""Tokens of one forward pass, padding included."""

_CELLS = 2**24
"""Activations encoded at once: 64 MB, however wide the SAE."""

SAVE_EVERY = 30.0
"""Seconds between two checkpoints, stretched where one takes long: see `_Pace`."""


@dataclass(frozen=True)
class BuildOptions:
    """How a build runs; what it counts is in the recipe."""

    tokens: int | None = None
    """Stop at the end of the group in which so many tokens were counted."""
    restart: bool = False
    save_every: float = SAVE_EVERY


@dataclass
class _Target:
    """One SAE of the pass."""

    atlas: Atlas
    sae: Sae
    recipe: Recipe
    progress: Progress

    @property
    def done(self) -> bool:
        """Whether enough was counted."""
        wanted = self.recipe.tokens
        return wanted is not None and self.progress.tally.tokens >= wanted


def build(
    model: LanguageModel,
    saes: Mapping[Path, Sae],
    text: TextSource,
    options: BuildOptions | None = None,
    report: Report = lambda *_: None,
) -> None:
    """Measure every feature of some SAEs on a text, in one pass, and write their atlases.

    Labels, scores and maps that the atlases hold already are kept.

    Args:
        model: The SAEs' model.
        saes: Each by the file of its atlas.
        text: Where the text comes from.
        options: When to stop, and whether to take up an earlier build.
        report: Told how far it is; what it raises ends the build, which can be taken up later.

    Raises:
        AtlasError: A file is another SAE's, newer or damaged; another build has it; only some of
            the SAEs want BOS; the text holds nothing to count or has changed since the build was
            begun; the disk is full.
    """
    options = options or BuildOptions()
    saes = {path.expanduser(): sae for path, sae in saes.items()}
    _require_same_beginning(list(saes.values()))
    with ExitStack() as held, explain_memory():
        for path in saes:
            held.enter_context(owning(path))
        targets: list[_Target] = []
        new = [path for path in saes if not path.exists()]
        try:
            for path, sae in saes.items():
                targets.append(_begin(model, path, sae, text, options))
                held.callback(targets[-1].atlas.close)
            _count(model, targets, text, options, report)
        except BaseException:  # Ctrl-C and a text that is not there, too
            _forget_empty(targets, new)
            raise
        for target in targets:
            tally = target.progress.tally
            publish(target.atlas, model, target.sae, tally, text.name, report)
        for target in targets:
            checkpoint_path(target.atlas.path).unlink(missing_ok=True)


def _forget_empty(targets: Sequence[_Target], new: Sequence[Path]) -> None:
    """Leave no atlas behind that this build made and in which nothing was counted."""
    for target in targets:
        if target.atlas.path in new and not target.progress.tally.tokens:
            target.atlas.close()
            target.atlas.path.unlink()


def _require_same_beginning(saes: Sequence[Sae]) -> None:
    """Refuse SAEs of which some want BOS before each row and others do not."""
    if len({sae.prepend_bos for sae in saes}) > 1:
        wants = ", ".join(
            f"{sae.name!r} wants rows {'with' if sae.prepend_bos else 'without'} BOS"
            for sae in saes
        )
        raise AtlasError(
            f"The SAEs of one build read the same rows, and {wants}. Build them one by one."
        )


def _begin(
    model: LanguageModel, path: Path, sae: Sae, text: TextSource, options: BuildOptions
) -> _Target:
    rows = min(ROW_TOKENS, model.n_ctx)
    recipe = Recipe(sae.fingerprint, model.name, text.name, options.tokens, rows, str(model.dtype))
    atlas = Atlas.create(path, sae)
    if options.restart:
        checkpoint_path(path).unlink(missing_ok=True)
    return _Target(atlas, sae, recipe, load(path, recipe) or Progress(Tally(sae.d_sae)))


def _count(
    model: LanguageModel,
    targets: Sequence[_Target],
    text: TextSource,
    options: BuildOptions,
    report: Report,
) -> None:
    prepend = targets[0].sae.prepend_bos
    groups = grouped(token_rows(model, text.documents(), prepend_bos=prepend))
    pace = _Pace(options.save_every)
    before, seen = "", 0
    for number, group in enumerate(groups):
        waiting = [t for t in targets if t.progress.groups <= number and not t.done]
        _require_same_text(waiting, number, before, text)
        before, seen = group.digest, number + 1
        if not waiting and all(target.done for target in targets):
            break
        _read(model, waiting, group)
        for target in waiting:
            target.progress.groups, target.progress.digest = number + 1, group.digest
        report("tokens", min(t.progress.tally.tokens for t in targets), options.tokens)
        if waiting and pace.due:
            pace.timed(lambda: [save(t.atlas.path, t.recipe, t.progress) for t in targets])
    for target in targets:
        ended = (target.progress.groups, target.progress.digest)
        if not target.done and ended != (seen, before):
            raise _changed(target, text)
    if not all(target.progress.tally.tokens for target in targets):
        raise AtlasError(
            f"There is no token to count in {text.name!r}: it is empty, or holds nothing but "
            "special tokens and texts of one token. Give another text."
        )


def _require_same_text(
    waiting: Sequence[_Target], number: int, before: str, text: TextSource
) -> None:
    for target in waiting:
        if target.progress.groups == number and target.progress.digest != before:
            raise _changed(target, text)


def _changed(target: _Target, text: TextSource) -> AtlasError:
    return AtlasError(
        f"The text {text.name!r} has changed since the build of {str(target.atlas.path)!r} "
        "was begun. Give the same text, or begin anew with --restart."
    )


class _Pace:
    """Writes checkpoints every so often, and so seldom that they cost at most a twentieth."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next = time.monotonic() + every

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    def timed(self, action: Callable[[], object]) -> None:
        began = time.monotonic()
        action()
        now = time.monotonic()
        self._next = now + max(self._every, 20 * (now - began) if self._every else 0.0)


def _read(model: LanguageModel, targets: Sequence[_Target], group: Group) -> None:
    """Count one group for each of the SAEs that still wait for it."""
    if not targets:
        return
    tokens = _tokens(group, model.special_ids)
    streams = _streams(model, group, [HookPoint.parse(t.sae.hook_name) for t in targets])
    for target in targets:
        stream = streams[HookPoint.parse(target.sae.hook_name)]
        counted = stream[torch.from_numpy(tokens.counted)]
        _, scale = target.sae.scaling.apply(counted)
        norms = counted.norm(dim=-1) / (1.0 if scale is None else scale[:, 0])
        target.progress.tally.add(_firings(target.sae, counted), tokens, norms.numpy())


def _tokens(group: Group, special: frozenset[int]) -> Tokens:
    sizes = [len(row) for row in group.rows]
    ids = np.concatenate([np.asarray(row, np.int64) for row in group.rows])
    position = np.concatenate([np.arange(size) for size in sizes])
    counted = (position > 0) & ~np.isin(ids, list(special))
    row = np.repeat(np.arange(group.first, group.first + len(sizes)), sizes)
    return Tokens(ids, row, position, np.flatnonzero(counted))


def _streams(
    model: LanguageModel, group: Group, points: Sequence[HookPoint]
) -> dict[HookPoint, Float[Tensor, "token d_in"]]:
    """The stream at each point over the whole group, in the order of its rows."""
    distinct = list(dict.fromkeys(points))
    found: dict[int, dict[HookPoint, Tensor]] = {}
    for batch in _batches([len(row) for row in group.rows]):
        with model.lock:
            seen = read_streams(model, [group.rows[i] for i in batch], distinct)
        found |= dict(zip(batch, seen, strict=True))
    return {p: torch.cat([found[i][p] for i in range(len(group.rows))]) for p in distinct}


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Rows of like length together, so that little of a batch is padding."""
    held: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if held and (len(held) + 1) * sizes[held[0]] > BATCH_TOKENS:
            yield held
            held = []
        held.append(index)
    if held:
        yield held


def _firings(sae: Sae, stream: Float[Tensor, "counted d_in"]) -> Firings:
    """Everything above 0, in order of token and feature."""
    parts = []
    size = max(1, _CELLS // sae.d_sae)
    for start in range(0, len(stream), size):
        acts = sae.encode(stream[start : start + size])
        token, feature = (acts > 0).nonzero(as_tuple=True)
        parts.append((token + start, feature, acts[token, feature]))
    token, feature, act = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Firings(token, feature, act)
