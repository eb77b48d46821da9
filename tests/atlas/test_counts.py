"""The parts of a tally: bins, the best of each key, pairs, windows; in laws on random numbers."""

import numpy as np
import pytest

from tests import tiny


def test_bins_hold_what_lies_between_their_edges():
    from steering.atlas import bins

    values = np.exp(np.random.default_rng(0).uniform(np.log(2**-8), np.log(2**16), 5000))
    at, edges = bins.bin_of(values), bins.edges()
    assert (edges[at] <= values).all()
    assert (values < edges[at + 1]).all()
    assert np.allclose(edges[1:] / edges[:-1], 1, atol=0.13)
    assert bins.bin_of(np.array([1e-9, 1e9])).tolist() == [0, bins.COUNT - 1]


def test_a_quantile_is_off_by_at_most_one_bin():
    from steering.atlas import bins

    values = np.random.default_rng(0).gamma(2, 3, 4000)
    counts = np.bincount(bins.bin_of(values), minlength=bins.COUNT)
    both = np.stack([counts, np.zeros_like(counts)])
    asked = (0.01, 0.1, 0.5, 0.9, 1.0)
    found = bins.quantiles(both, asked, np.array([values.max(), 0.0]))
    assert found[0].tolist() == pytest.approx(np.quantile(values, asked).tolist(), rel=0.13)
    assert found[1].tolist() == [0.0] * 5


@pytest.mark.parametrize("cuts", [1, 3, 50])
def test_the_best_of_each_key_are_the_same_however_they_are_offered(cuts):
    from steering.atlas.keep import Best, Entries
    from steering.atlas.windows import WIDTH

    chance = np.random.default_rng(0)
    keys = chance.integers(0, 7, 900)
    scores = chance.integers(0, 60, 900).astype(np.float64)  # with many ties
    table = Best.empty(8, 5)
    for part in np.array_split(np.arange(900), cuts):

        def entries(index, part=part):
            at = part[index]
            ids = np.repeat(at[:, None], WIDTH, 1).astype(np.int32)
            return Entries(scores[at], scores[at].astype(np.float32), at, ids, ids.astype("f2"))

        table.offer(keys[part], scores[part], entries)
    for key in range(8):
        expected = sorted(np.flatnonzero(keys == key).tolist(), key=lambda i: (-scores[i], i))[:5]
        kept = table.entries.number[key]
        assert kept[kept >= 0].tolist() == expected
        assert table.entries.ids[key][kept >= 0][:, 3].tolist() == expected


def pair_counts(capacity=None, monkeypatch=None, seed=0):
    from steering.atlas import pairs

    if monkeypatch is not None:
        monkeypatch.setattr(pairs, "CAPACITY", capacity)
    chance = np.random.default_rng(seed)
    counted = pairs.PairCounts(30)
    together = np.zeros((30, 30), int)
    for _ in range(20):
        on = chance.random((40, 30)) < 0.1
        on[:, 3] = on[:, 7] = True
        token, feature = np.nonzero(on)
        counted.add(token, feature, chance.random(len(token)).astype(np.float32) + 1)
        together += on.astype(int).T @ on.astype(int)
    return counted, together


def test_pairs_are_exact_while_there_is_room():
    counted, together = pair_counts()
    low, high = np.divmod(counted.keys, 30)
    assert counted.dropped == 0
    assert counted.counts.tolist() == together[low, high].tolist()
    assert counted.counts.sum() == np.triu(together, 1).sum()


def test_beyond_that_the_frequent_pairs_stay_and_the_error_is_known(monkeypatch):
    counted, together = pair_counts(60, monkeypatch)
    low, high = np.divmod(counted.keys, 30)
    assert len(counted.keys) <= 60
    missing = together[low, high] - counted.counts
    assert (missing >= 0).all()
    assert (missing <= counted.missed).all()
    assert (counted.missed <= counted.dropped).all()
    assert 3 * 30 + 7 in counted.keys.tolist()


def test_a_pair_that_is_dropped_again_and_again_misses_no_more_than_is_said(monkeypatch):
    from steering.atlas import pairs

    monkeypatch.setattr(pairs, "CAPACITY", 20)
    counted = pairs.PairCounts(1_000)
    acts = np.ones(2, np.float32)
    own = 0
    for round_ in range(40):
        for at in range(25):  # pairs that never come again push it out
            feature = np.array([100 + at, 200 + (25 * round_ + at) % 700])
            counted.add(np.zeros(2, np.int64), feature, acts)
        for _ in range(round_ // 4):
            counted.add(np.zeros(2, np.int64), np.array([1, 2]), acts)
            own += 1
    at = counted.keys.tolist().index(1_002)
    assert 0 < own - counted.counts[at] <= counted.missed[at] <= counted.dropped


def test_the_closest_partners_come_first():
    counted, together = pair_counts()
    fired = np.diag(together)
    one, other, both = counted.strongest(fired, 4)
    assert np.bincount(one, minlength=30).tolist() == [4] * 30
    own = one == 3
    assert other[own][0] == 7
    share = both[own] / np.sqrt(fired[3] * fired[other[own]])
    assert (np.diff(share) <= 1e-12).all()


def test_only_the_strongest_of_a_token_pair_up():
    from steering.atlas.pairs import STRONGEST, PairCounts

    counted = PairCounts(100)
    acts = np.linspace(1, 2, 40).astype(np.float32)
    counted.add(np.zeros(40, np.int64), np.arange(40), acts)
    assert len(counted.keys) == STRONGEST * (STRONGEST - 1) // 2
    assert set(np.concatenate(np.divmod(counted.keys, 100)).tolist()) == set(range(24, 40))


def test_windows_come_back_from_their_bytes():
    from steering.atlas.windows import WIDTH, Window, pack, unpack

    chance = np.random.default_rng(0)
    windows = [
        Window(
            float(np.float32(chance.random())),
            70_000 + i,
            i,
            chance.integers(-1, 200_000, WIDTH).astype(np.int32),
            chance.random(WIDTH).astype(np.float16),
        )
        for i in range(5)
    ]
    for one, again in zip(windows, unpack(pack(windows)), strict=True):
        assert one[:3] == again[:3]
        assert (one.ids == again.ids).all()
        assert (one.acts == again.acts).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer", "the bridge is red and A Q"),
        ("byte_level", "naïve 🌉 the bridge"),
        ("byte_fallback", "abc é 🌉 bad fed"),
    ],
)
def test_tokens_read_from_their_bytes_are_the_models_own_pieces(name, text):
    from steering.atlas.vocabulary import pieces, vocabulary
    from steering.models import LanguageModel

    model = LanguageModel("tiny", tiny.hf_model(), getattr(tiny, name)())
    spelled = dict(enumerate(vocabulary(model)))
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    own, theirs = pieces(ids, spelled), model.pieces(ids)
    # At the start of a text a tokenizer may leave out a space that stands inside of one.
    assert own[0].strip() == theirs[0].strip()
    assert own[1:] == theirs[1:]
    assert "".join(own).strip() == text
