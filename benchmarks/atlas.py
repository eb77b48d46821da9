"""What the atlas costs: search, neighbours, a build beside the bare passes, memory and size.

`python -m benchmarks.atlas` prints the table; `--small` runs every figure at a size that takes a
minute and meets no bar by it.
"""

import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from sae_lens import SAE

from benchmarks.result import Result
from benchmarks.table import command
from steering.atlas import geometry
from steering.atlas.build import build
from steering.atlas.labels import Label, add_labels
from steering.atlas.search import search
from steering.atlas.store import Atlas
from steering.atlas.texts import TextSource
from steering.atlas.token_rows import ROW_TOKENS, grouped, token_rows
from steering.sae import Sae
from steering.session import Session

WIDE, D_MODEL, MIDDLING = 131_072, 4096, 16_384
TOKENS = 1_000_000
ROUNDS = 5
PAIRS_GROW = 0.4
"""GiB: what a full table of pairs takes while the strongest are chosen."""
HOOK = "blocks.1.hook_resid_post"
WORDS = [f"{a}{b}{c}" for a in "btkms" for b in ("ar", "ien", "oul", "ing") for c in "tdnlk"]


def atlas_figures(*, small: bool = False) -> list[Result]:
    """Every figure of the atlas."""
    wide, tokens = (4096, 20_000) if small else (WIDE, TOKENS)
    middling = 512 if small else MIDDLING
    return [
        *_search_and_neighbours(wide, 256 if small else D_MODEL),
        _build_ratio(tokens),
        *_memory_and_size(wide, middling, tokens // 4),
    ]


def _search_and_neighbours(features: int, width: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        sae = sae_of(features, 64)
        atlas = Atlas.create(Path(folder) / "a.sqlite", sae)
        chance = random.Random(0)
        texts = (" ".join(chance.choices(WORDS, k=7)) for _ in range(features))
        add_labels(atlas, [Label(f, text, "bench") for f, text in enumerate(texts)])
        asked = ["bart", "tienk soul", "kin", "mardl"]
        slowest = max(_median(lambda words=words: search(atlas, words)) for words in asked)
        atlas.close()
    rows = torch.nn.functional.normalize(torch.randn(features, width), dim=-1)
    near = _median(lambda: geometry.nearest(rows, 17))
    return [
        Result(f"label search over {features:,} features", 1e3 * slowest, "ms", 50, at_least=False),
        Result(
            f"50 nearest of {features:,} × {width:,} decoders",
            1e3 * near,
            "ms",
            300,
            at_least=False,
        ),
    ]


def _median(action: Callable[[], object]) -> float:
    action()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _build_ratio(tokens: int) -> Result:
    """A whole build on the bundle against the passes alone: model, then the SAE's own encode.

    The model's pass is whole, up to the logits; a build stops at the hook.
    """
    session = Session.demo()
    sae = next(iter(session.saes.values()))
    assert sae.calibration_text is not None, "the bundle has a text of its own"
    documents = sae.calibration_text.read_text(encoding="utf-8").split("\n---\n")
    model = session.model
    rows = list(token_rows(model, documents, prepend_bos=True))
    repeats = -(-tokens // sum(map(len, rows)))
    # Its values do not matter to how long encoding takes.
    stream = torch.randn(32 * ROW_TOKENS, sae.d_in)

    def bare(repeats: int) -> None:
        for group in grouped(iter(rows * repeats)):
            ids = sorted(group.rows, key=len)
            for start in range(0, len(ids), 32):
                batch = ids[start : start + 32]
                width = max(map(len, batch))
                padded = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch])
                with torch.inference_mode():
                    model.hf(padded, use_cache=False)
                with torch.inference_mode():
                    sae.inner.encode(stream[: sum(map(len, batch))])

    def whole(path: Path, repeats: int) -> None:
        build(model, {path: sae}, TextSource("bench", lambda: iter(documents * repeats)))

    with tempfile.TemporaryDirectory() as folder:
        bare(1)
        whole(Path(folder) / "warm.sqlite", 1)
        began = time.perf_counter()
        bare(repeats)
        between = time.perf_counter()
        whole(Path(folder) / "a.sqlite", repeats)
        ended = time.perf_counter()
    ratio = (between - began) / (ended - between)
    return Result(
        f"build on the bundle, {tokens:,} tokens, speed over bare", ratio, "×", 0.7, at_least=True
    )


def _memory_and_size(wide: int, middling: int, tokens: int) -> list[Result]:
    """In processes of their own, since a peak never goes down again."""
    context = multiprocessing.get_context("spawn")
    few = tokens // 4
    with context.Pool(1, maxtasksperchild=1) as pool:
        lower, _ = pool.apply(_built, (wide, few))
        peak, _ = pool.apply(_built, (wide, tokens))
        _, size = pool.apply(_built, (middling, tokens))
    return [
        Result(f"build on {wide:,} features, beside model and SAE", peak, "GiB", 3, at_least=False),
        # Pairs are counted in a table that fills up, and that alone may grow.
        Result(
            f"the same, from {few:,} to {tokens:,} tokens",
            peak - lower,
            "GiB more",
            PAIRS_GROW,
            at_least=False,
        ),
        Result(f"atlas of {middling:,} features", size, "MB", 250, at_least=False),
    ]


def _built(features: int, tokens: int) -> tuple[float, float]:
    """GiB that a build needs beyond model and SAE, and the MB of its file."""
    session = Session.demo()
    own = next(iter(session.saes.values()))
    sae = sae_of(features, own.d_in)
    assert own.calibration_text is not None, "the bundle has a text of its own"
    documents = own.calibration_text.read_text(encoding="utf-8").split("\n---\n")
    repeats = -(-tokens // 8000)
    text = TextSource("bench", lambda: _shuffled(documents, repeats))
    before = _peak_gib()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.sqlite"
        build(session.model, {path: sae}, text)
        size = path.stat().st_size / 1e6
    grown = _peak_gib() - before
    assert grown > 0, "a build takes some memory: the peak was not this process's own"
    return grown, size


def _peak_gib() -> float:
    """The most memory that this process held so far.

    Not `getrusage`: a child's begins at what its parent held when it was started, and three
    gigabytes of neighbours hide a build.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**20


def _shuffled(documents: list[str], repeats: int) -> Iterator[str]:
    """The same words in ever new orders, so that features fire and pair up in ever new ways."""
    chance = random.Random(0)
    for _ in range(repeats):
        for document in documents:
            words = document.split(" ")
            chance.shuffle(words)
            yield " ".join(words)


def sae_of(features: int, width: int) -> Sae:
    """A TopK SAE of random weights at the bundle's hook."""
    torch.manual_seed(0)
    about = {"hook_name": HOOK, "model_name": "bench"}
    cfg = {"architecture": "topk", "k": 64, "d_in": width, "d_sae": features, "metadata": about}
    return Sae("bench", SAE.from_dict(cfg))


if __name__ == "__main__":
    command(atlas_figures, __doc__)
