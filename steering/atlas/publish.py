"""From what a build counted to the tables of an atlas, in one transaction."""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from steering.atlas import bins
from steering.atlas.keep import Best
from steering.atlas.lens import Ends, lens_ends
from steering.atlas.progress import Report
from steering.atlas.store import Atlas, Writer
from steering.atlas.tally import TENTHS, Tally
from steering.atlas.vocabulary import as_word, vocabulary
from steering.atlas.windows import TOP_TENTH, Window, pack
from steering.models import LanguageModel
from steering.sae import Sae

PARTNERS = 20


def publish(
    atlas: Atlas,
    model: LanguageModel,
    sae: Sae,
    tally: Tally,
    text: str,
    report: Report = lambda *_: None,
) -> None:
    """Replace the statistics of an atlas; labels, scores and the map stay.

    Raises:
        AtlasError: The disk is full; the atlas is as it was.
    """
    # A wide SAE's lens takes minutes, in which nobody could write a label.
    lens: list[tuple[int, Ends]] = []
    for start, ends in lens_ends(model, sae):
        lens.append((start, ends))
        report("logit lens", start + len(ends.gains), sae.d_sae)
    with atlas.writing() as db:
        for table in ("stats", "examples", "pairs", "lens", "promoted", "vocabulary"):
            db.run(f"DELETE FROM {table}")
        _write_stats(db, sae, tally)
        _write_examples(db, tally, report)
        one, other, both = tally.pairs.strongest(tally.fired, PARTNERS)
        pairs = zip(one.tolist(), other.tolist(), both.tolist(), strict=True)
        db.many("INSERT INTO pairs VALUES (?, ?, ?)", pairs)
        _write_vocabulary(db, model)
        for start, ends in lens:
            _write_lens(db, start, ends, tally.fired > 0)
        db.set_about(
            atlas.about,
            model=model.name,
            text=text,
            tokens=tally.tokens,
            median_norm=tally.median_norm,
        )


def _write_stats(db: Writer, sae: Sae, tally: Tally) -> None:
    cuts = bins.quantiles(tally.histogram, bins.QUANTILES, tally.max_act.astype(np.float64))
    decoder_norms = sae.decoder_norms.tolist()
    fired = tally.fired.tolist()
    means = (tally.total / np.maximum(tally.fired, 1)).tolist()
    db.many(
        "INSERT INTO stats VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                feature,
                fired[feature],
                fired[feature] / tally.tokens,
                float(tally.max_act[feature]),
                means[feature],
                decoder_norms[feature],
                cuts[feature].astype(np.float32).tobytes(),
                pack_histogram(tally.histogram[feature]),
            )
            for feature in range(tally.d_sae)
        ),
    )


def pack_histogram(counts: ndarray) -> bytes:
    """The bins that counted something: the first of them, then each."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return b""
    inside = counts[filled[0] : filled[-1] + 1]
    return np.concatenate([filled[:1], inside]).astype(np.uint32).tobytes()


def _write_examples(db: Writer, tally: Tally, report: Report) -> None:
    for feature in range(tally.d_sae):
        if tally.fired[feature]:
            db.many("INSERT INTO examples VALUES (?, ?, ?)", _packed(tally, feature))
        if (feature + 1) % 1024 == 0 or feature + 1 == tally.d_sae:
            report("examples", feature + 1, tally.d_sae)


def _packed(tally: Tally, feature: int) -> Iterator[tuple[int, int, bytes]]:
    yield feature, TOP_TENTH, pack(_windows(tally.top, feature))
    for tenth in range(TENTHS):
        windows = _windows(tally.samples, feature * TENTHS + tenth)
        if windows:
            yield feature, tenth, pack(windows)


def _windows(table: Best, key: int) -> list[Window]:
    kept = table.entries.take(np.asarray(key))
    return [
        Window(
            float(kept.act[slot]),
            int(kept.number[slot]) >> 16,
            int(kept.number[slot]) & 0xFFFF,
            kept.ids[slot],
            kept.acts[slot],
        )
        for slot in range(table.slots)
        if kept.number[slot] >= 0
    ]


def _write_vocabulary(db: Writer, model: LanguageModel) -> None:
    special = model.special_ids
    db.many(
        "INSERT INTO vocabulary VALUES (?, ?, ?, ?)",
        (
            (token, spelled, as_word(spelled), token in special)
            for token, spelled in enumerate(vocabulary(model))
        ),
    )


def _write_lens(db: Writer, start: int, ends: Ends, live: ndarray) -> None:
    """The lens of every feature; only live ones are found by the tokens they promote."""
    for row in range(len(ends.gains)):
        feature = start + row
        promoted, demoted = (
            np.stack([tokens[row].astype(np.float64), logits[row].astype(np.float64)]).tobytes()
            for tokens, logits in ((ends.promoted, ends.gains), (ends.demoted, ends.losses))
        )
        db.run("INSERT INTO lens VALUES (?, ?, ?)", (feature, promoted, demoted))
        if live[feature]:
            gains = zip(ends.promoted[row].tolist(), ends.gains[row].tolist(), strict=True)
            db.many(
                "INSERT INTO promoted VALUES (?, ?, ?)",
                ((token, feature, gain) for token, gain in gains),
            )
