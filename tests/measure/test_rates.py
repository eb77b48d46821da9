"""Shares and their intervals, against values worked out by hand."""

import pytest

from steering.measure.rates import Rate, paired_loss


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    low, high = Rate(8, 10).interval
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)


@pytest.mark.parametrize("hits", [0, 200])
def test_no_hit_and_every_hit_still_leave_room_for_doubt(hits: int) -> None:
    low, high = Rate(hits, 200).interval
    assert 0 <= low <= hits / 200 <= high <= 1
    assert high - low == pytest.approx(0.01884, abs=1e-4)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_is_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        Rate(hits, n)


def test_equal_pairs_lose_nothing_and_are_sure_of_it() -> None:
    assert paired_loss([True, False, True], [True, False, True]) == (0, 0, 0)


def test_a_loss_counts_pairs_and_not_totals() -> None:
    """One lost and one won cancel out, but leave doubt."""
    mean, low, high = paired_loss([True, False, True, True], [False, True, True, True])
    assert mean == 0
    assert low < 0 < high


def test_lists_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired_loss([True], [True, False])
