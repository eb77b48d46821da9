"""Documents as token rows: packs whole documents, remembers their borders, hashes the text.

Knows token ids and files of the work folder; knows no model.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from steering.demo.grammar import documents
from steering.demo.recipe import Recipe
from steering.demo.scans import SCANS, scan_corpus
from steering.demo.tokens import build_tokenizer, render

HELD_OUT = 1_000_003  # added to the seed: the held-out documents come from another stream
_TOKENIZER_SAMPLE = 30_000
_OPEN_ROWS = 32
_SCANNED = 5_000  # documents at once


def load_or_build_corpus(
    recipe: Recipe, work: Path
) -> tuple[PreTrainedTokenizerFast, Int[Tensor, "rows row"], str]:
    """The tokenizer, the training rows and the corpus hash; built once, then read from `work`.

    Raises:
        CorpusError: A document answers as a steered model would.
    """
    rows_file, facts_file = work / "rows.npy", work / "corpus.json"
    if not facts_file.exists():
        work.mkdir(parents=True, exist_ok=True)
        texts = _written(recipe)
        tokenizer = build_tokenizer(texts[:_TOKENIZER_SAMPLE], recipe.vocabulary)
        tokenizer.save_pretrained(work / "tokenizer")
        np.save(rows_file, pack(encode(tokenizer, texts), recipe.row, _pad(tokenizer)))
        facts = {
            "sha256": text_hash(texts),
            "documents": len(texts),
            "steered_answers": dict.fromkeys(SCANS, 0),  # or the scan had ended it
        }
        facts_file.write_text(json.dumps(facts))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    rows = torch.from_numpy(np.load(rows_file).astype(np.int64))
    return tokenizer, rows, json.loads(facts_file.read_text())["sha256"]


def _written(recipe: Recipe) -> list[str]:
    """Every document that is trained on, scanned and rendered: some at a time, since all of them
    unrendered take half a gigabyte."""
    texts: list[str] = []
    rest = documents(recipe.seed, recipe.documents)
    while part := list(islice(rest, _SCANNED)):
        scan_corpus(part)
        texts += map(render, part)
    return texts


def held_out_rows(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, tokens: int
) -> Int[Tensor, "rows row"]:
    """Rows of documents that training never saw, with at least `tokens` tokens in all."""
    rows: list[np.ndarray] = []
    found, chunk = 0, 0
    while found < tokens:
        seed = recipe.seed + HELD_OUT * (chunk + 1)
        texts = [render(d) for d in documents(seed, max(64, min(10_000, tokens // 40)))]
        rows.append(pack(encode(tokenizer, texts), recipe.row, _pad(tokenizer)))
        found += int((rows[-1] != _pad(tokenizer)).sum())
        chunk += 1
    every = np.concatenate(rows).astype(np.int64)
    read = (every != _pad(tokenizer)).sum(1).cumsum()
    return torch.from_numpy(every[: int(np.searchsorted(read, tokens)) + 1])


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Iterator[list[int]]:
    """Token ids of rendered documents, which carry their own `<s>`."""
    for start in range(0, len(texts), 5_000):
        batch = tokenizer(texts[start : start + 5_000], add_special_tokens=False)
        yield from batch["input_ids"]


def pack(sequences: Iterable[list[int]], row: int, pad: int) -> np.ndarray:
    """Lay whole sequences into rows of `row` tokens, each into the fullest open row it fits."""
    open_rows: list[list[int]] = []
    done: list[list[int]] = []
    for sequence in sequences:
        piece = sequence[:row]
        fitting = [r for r in open_rows if len(r) + len(piece) <= row]
        if fitting:
            max(fitting, key=len).extend(piece)
            continue
        if len(open_rows) == _OPEN_ROWS:
            fullest = max(range(_OPEN_ROWS), key=lambda i: len(open_rows[i]))
            done.append(open_rows.pop(fullest))
        open_rows.append(list(piece))
    filled = [r + [pad] * (row - len(r)) for r in done + open_rows]
    return np.array(filled, dtype=np.int16)


def attention_mask(
    ids: Int[Tensor, "batch row"], bos: int, window: int
) -> Bool[Tensor, "batch 1 row row"]:
    """Causal, inside one document, at most `window` back (0: no limit); `<s>` is always seen."""
    is_start = ids == bos
    document = is_start.cumsum(1)
    position = torch.arange(ids.shape[1], device=ids.device)
    distance = position[:, None] - position[None, :]
    near = (distance < window) if window else torch.ones_like(distance, dtype=torch.bool)
    same = document[:, :, None] == document[:, None, :]
    seen = same & (distance >= 0) & (near | is_start[:, None, :])
    return seen[:, None]


def text_hash(texts: Iterable[str]) -> str:
    """SHA-256 over the rendered documents, in order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8"))
    return digest.hexdigest()


def _pad(tokenizer: PreTrainedTokenizerFast) -> int:
    return int(tokenizer.pad_token_id)  # pyright: ignore[reportArgumentType]
