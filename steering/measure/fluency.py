"""How a written text reads: surprise under the unsteered model, and how much it repeats itself."""

from collections.abc import Sequence

import torch

from steering.memory import explain_memory
from steering.records import Row
from steering.session import Session

PART = 64
"""Rows rated in one pass."""
NGRAM = 4


def surprise(session: Session, rows: Sequence[Row]) -> list[float]:
    """Nats per token of each text under the unsteered model, on its own prompt; nan where empty.

    The end-of-text token counts, so that a text that cannot stop is seen too.
    """
    # Those of about a length together: little is padded.
    order = sorted(range(len(rows)), key=lambda at: _length(rows[at]))
    rated: dict[int, float] = {}
    for start in range(0, len(order), PART):
        part = order[start : start + PART]
        with session.model.lock, explain_memory(), torch.inference_mode():
            found = _rated(session, [rows[at] for at in part])
        rated |= zip(part, found, strict=True)
    return [rated[at] for at in range(len(rows))]


def _length(row: Row) -> int:
    return len(row.prompt_ids) + len(row.token_ids)


def _rated(session: Session, rows: Sequence[Row]) -> list[float]:
    device = session.model.device
    lengths = [_length(row) for row in rows]
    ids = torch.zeros(len(rows), max(lengths), dtype=torch.long, device=device)
    written = torch.zeros_like(ids, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : lengths[at]] = torch.tensor([*row.prompt_ids, *row.token_ids], device=device)
        written[at, len(row.prompt_ids) : lengths[at]] = True
    # Padding stands on the right, where no earlier token can see it. Logits are needed from the
    # last token of the shortest prompt on.
    first = min(len(row.prompt_ids) for row in rows)
    keep = session.model.keep_logits(max(lengths) - first + 1)
    logits = session.model.hf(input_ids=ids, use_cache=False, **keep).logits.float()
    after, kept = ids[:, first:], written[:, first:]
    logits = logits[:, -after.shape[1] - 1 : -1]
    picked = logits.log_softmax(-1).gather(-1, after[..., None])[..., 0]
    sums = -(picked * kept).sum(-1)
    return (sums / kept.sum(-1)).tolist()


def repetition(row: Row) -> float:
    """The share of the text's four-token sequences that stood in it before; 0 in a short text."""
    ids = row.token_ids
    grams = [ids[i : i + NGRAM] for i in range(len(ids) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
