"""Whether a build is exact: after ten kills, and against a naive recount on 100,000 tokens.

`python -m benchmarks.exact` prints the table; `--small` runs every figure on few tokens. What is
built here is built in small groups, so that each attempt leaves something to go on from.
"""

import hashlib
import itertools
import multiprocessing
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from benchmarks.result import Result
from benchmarks.table import command
from steering.atlas import token_rows
from steering.atlas.build import BuildOptions, build
from steering.atlas.checkpoint import checkpoint_path
from steering.atlas.store import Atlas
from steering.atlas.texts import TextSource
from steering.demo.grammar import documents
from steering.demo.known import plain
from steering.demo.tokens import render
from steering.models import LanguageModel
from steering.sae import Sae
from steering.session import Session

TOKENS, KILLED_TOKENS, KILLS = 100_000, 30_000, 10
_SEED = 900_000  # of documents that neither training nor a claim reads
ROUNDING = 1e-5
FLOAT32 = 1e-4  # between orders of adding up, as the tests hold logits; 0.9e-5 to 1.1e-5 was seen
_GROUP = 1_000  # tokens, instead of eight thousand
_STATISTICS = ("about", "stats", "examples", "pairs", "lens", "promoted", "vocabulary")


def exactness(*, small: bool = False) -> list[Result]:
    """Every figure that has to be none."""
    tokens, killed = (3_000, 3_000) if small else (TOKENS, KILLED_TOKENS)
    return [*_killed(2 if small else KILLS, killed), *_recounted(tokens)]


def _killed(kills: int, tokens: int) -> list[Result]:
    """Tables that differ between an unbroken build and one killed at random moments."""
    chance = random.Random(0)
    left = set()
    with tempfile.TemporaryDirectory() as folder:
        straight, broken = (Path(folder) / name for name in ("straight.sqlite", "broken.sqlite"))
        taken = _run(straight, tokens)
        for _ in tqdm(range(kills), "Kills", leave=False):
            # Each attempt goes on from the one before, so none may have time for all of it.
            _run(broken, tokens, chance.uniform(0.2, 1) * taken / kills)
            left.add(_digest_of_file(checkpoint_path(broken)))
        _run(broken, tokens)
        differing = sum(_digest(straight, table) != _digest(broken, table) for table in _STATISTICS)
    what = f"build on {tokens:,} tokens, {kills} kills: "
    return [
        Result(f"{what}tables that differ", differing, f"of {len(_STATISTICS)}", 0, False),
        Result(f"{what}checkpoints that were gone on from", len(left - {None}), "", 2, True),
    ]


def _run(path: Path, tokens: int, killed_after: float | None = None) -> float:
    """Build in a process of its own; killed so many seconds after it began. How long it took."""
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    process = spawn.Process(target=_build, args=(path, tokens, begun))
    process.start()
    while not begun.wait(1):
        if not process.is_alive():
            raise RuntimeError("a build ended before it began; see above")
    start = time.perf_counter()
    process.join(killed_after)
    process.kill()
    process.join()
    if killed_after is None and process.exitcode != 0:
        raise RuntimeError("an unbroken build failed; see above")
    return time.perf_counter() - start


def _build(path: Path, tokens: int, begun: Event) -> None:
    token_rows.GROUP_TOKENS = _GROUP
    session = Session.demo()
    (sae,) = session.saes.values()
    source = TextSource("bench", _texts)
    begun.set()
    build(session.model, {path: sae}, source, BuildOptions(tokens=tokens, save_every=0.0))


def _digest_of_file(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _texts() -> Iterator[str]:
    return (plain(render(document)) for document in documents(_SEED, 10**9))


def _digest(path: Path, table: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    if not rows:
        raise RuntimeError(f"a finished build left its table {table} empty")
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@torch.inference_mode()
def _recounted(tokens: int) -> list[Result]:
    """An atlas against naive recounts by SAELens's encode, on two streams.

    On the very stream that the build read nothing may differ. TransformerLens's, a document at a
    time, adds up in another order: there a token that lies on its gate may fire or not.
    """
    session = Session.demo()
    model = session.model
    (sae,) = session.saes.values()
    texts = list(itertools.islice(_texts(), tokens // 20))
    read: list[Tensor] = []
    with tempfile.TemporaryDirectory() as folder, _recording(sae, read):
        path = Path(folder) / "a.sqlite"
        source = TextSource("bench", lambda: iter(texts))
        build(model, {path: sae}, source, BuildOptions(tokens=tokens))
        with closing(Atlas.open(path)) as atlas:
            counted = atlas.about.tokens
            stats = atlas.rows("SELECT fired, density, max_act FROM stats ORDER BY feature")
            lens = atlas.rows("SELECT feature, promoted, demoted FROM lens")
    found = torch.tensor(stats, dtype=torch.double)
    same = _recount(sae, read)
    other = _recount(sae, _until(counted, _streams(model, sae, texts)), (-ROUNDING, ROUNDING))
    apart = (found[:, 2] - other.largest).abs() / other.largest.clamp(min=1)
    differing = int((found[:, 0] != other.fired).sum())
    unexplained = (found[:, 0] < other.least) | (found[:, 0] > other.most)
    on_gate = int((other.most > other.least).sum())
    what = f"recount of {counted:,} tokens"
    return [
        _none(f"{what}: tokens that one side counts alone", abs(counted - same.tokens)),
        _none(f"{what}: features of another count", int((found[:, 0] != same.fired).sum())),
        _none(
            f"{what}: features of another density",
            int((found[:, 1] != same.fired.double() / same.tokens).sum()),
        ),
        _none(f"{what}: features of another maximum", int((found[:, 2] != same.largest).sum())),
        _none(f"{what} by TransformerLens: tokens of one side alone", abs(counted - other.tokens)),
        _none(
            f"{what} by TransformerLens: counts that no rounding explains",
            int(unexplained.sum()),
            f"({differing} differ, {on_gate} features have a token within {ROUNDING:g} of "
            "the gate)",
        ),
        Result(
            f"{what} by TransformerLens: largest relative difference of a maximum",
            apart.max().item(),
            "",
            FLOAT32,
            False,
        ),
        Result(
            "largest difference of a logit lens", _lens_apart(model, sae, lens), "", FLOAT32, False
        ),
    ]


def _none(what: str, found: int, beside: str = "") -> Result:
    return Result(what, found, beside, 0, False)


@contextmanager
def _recording(sae: Sae, read: list[Tensor]) -> Iterator[None]:
    """Keep every stream that is encoded."""
    encode = sae.encode

    def spy(x: Float[Tensor, "counted d_in"]) -> Float[Tensor, "counted d_sae"]:
        read.append(x)
        return encode(x)

    sae.encode = spy
    try:
        yield
    finally:
        del sae.encode


@dataclass(frozen=True)
class _Recount:
    """What a feature did on some streams, counted naively."""

    tokens: int
    fired: Float[Tensor, " d_sae"]
    largest: Float[Tensor, " d_sae"]
    least: Float[Tensor, " d_sae"]
    """How often it fired whichever way rounding goes."""
    most: Float[Tensor, " d_sae"]
    """How often it fired or may have fired."""


def _recount(
    sae: Sae, streams: Iterable[Float[Tensor, "counted d_in"]], rounding: Sequence[float] = ()
) -> _Recount:
    tokens, largest = 0, torch.zeros(sae.d_sae)
    fired, least, most = (torch.zeros(sae.d_sae) for _ in range(3))
    for stream in streams:
        acts = sae.inner.encode(stream) * sae.inner.W_dec.norm(dim=-1)
        tokens += len(acts)
        fires = acts > 0
        fired += fires.sum(0)
        largest = torch.maximum(largest, acts.amax(0))
        # What fires on a stream that is a hundred-thousandth longer and not on one as much shorter
        # lies on its gate: another order of adding up may open or shut it.
        ways = torch.stack([fires, *(sae.inner.encode(stream * (1 + by)) > 0 for by in rounding)])
        least += ways.all(0).sum(0)
        most += ways.any(0).sum(0)
    return _Recount(tokens, fired, largest, least, most)


def _until(
    tokens: int, streams: Iterable[Float[Tensor, "counted d_in"]]
) -> Iterator[Float[Tensor, "counted d_in"]]:
    """As many whole texts as hold so many tokens."""
    read = 0
    for stream in streams:
        if read >= tokens:
            return
        read += len(stream)
        yield stream


def _streams(
    model: LanguageModel, sae: Sae, texts: list[str]
) -> Iterator[Float[Tensor, "counted d_in"]]:
    """At every token that generation would steer, a text at a time."""
    bos = model.tokenizer.bos_token_id
    for text in tqdm(texts, "Recount", leave=False):
        own = model.tokenizer.encode(text, add_special_tokens=False)
        for start in range(0, len(own), token_rows.ROW_TOKENS - 1):
            ids = [bos, *own[start : start + token_rows.ROW_TOKENS - 1]]
            counted = [at for at, token in enumerate(ids) if at and token not in model.special_ids]
            _, cache = model.bridge.run_with_cache(torch.tensor([ids]), names_filter=sae.hook_name)
            yield cache[sae.hook_name][0, counted]


def _lens_apart(model: LanguageModel, sae: Sae, lens: list[tuple[int, bytes, bytes]]) -> float:
    """How far the atlas's gains are from the final norm and the output matrix by hand."""
    hf = model.hf
    direction = sae.inner.W_dec / sae.inner.W_dec.norm(dim=-1, keepdim=True)
    logits = hf.lm_head(hf.model.norm(direction))
    apart = []
    for feature, *packed in lens:
        for each, largest in zip(packed, (True, False), strict=True):
            _, gains = np.frombuffer(each).reshape(2, -1)
            by_hand = logits[feature].topk(gains.size, largest=largest).values
            apart.append((by_hand - torch.from_numpy(gains.copy())).abs().max())
    return torch.stack(apart).max().item()


if __name__ == "__main__":
    command(exactness, __doc__)
