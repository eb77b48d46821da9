"""The arithmetic against its definition, on random tensors."""

import math

import pytest
import torch

INF = math.inf
TABLE = {
    "add": (0.0, 2.5, -INF, INF, lambda f: f + 2.5),
    "clamp": (-1.0, 2.5, -INF, INF, lambda f: torch.full_like(f, 2.5)),
    "floor": (0.0, 0.0, 2.5, INF, lambda f: f.clamp(min=2.5)),
    "cap": (0.0, 0.0, -INF, 2.5, lambda f: f.clamp(max=2.5)),
    "scale": (2.0, 0.0, -INF, INF, lambda f: 3.0 * f),
    "ablate": (-1.0, 0.0, -INF, INF, torch.zeros_like),
    "none": (0.0, 0.0, -INF, INF, lambda f: f),
}


def edit_tensors(*rows: str):
    from steering.edits import EditTensors

    columns = zip(*(TABLE[name][:4] for name in rows), strict=True)
    return EditTensors(*(torch.tensor(column)[:, None] for column in columns))


def chunk(*, pads: list[int], prompt: list[int], width: int, offset: int = 0, special=None):
    from steering.edits import Chunk

    marked = torch.zeros(len(pads), width, dtype=torch.bool) if special is None else special
    return Chunk(offset, torch.tensor(pads), torch.tensor(prompt), marked)


def mask_tensors(where: str = "all", *, start=0, stop=None, first=False, special=False):
    from steering.edits import ALWAYS, MaskTensors

    cell = lambda value: torch.tensor([[value]])  # noqa: E731
    return MaskTensors(
        cell(start),
        cell(stop or ALWAYS),
        cell(where != "generated"),
        cell(where != "prompt"),
        cell(first),
        cell(special),
    )


@pytest.mark.parametrize("name", TABLE)
def test_each_edit_is_its_definition(name):
    from steering.edits import coefficients

    acts = 4 * torch.rand(1, 50, 1)
    expected = TABLE[name][4](acts) - acts
    torch.testing.assert_close(coefficients(acts, edit_tensors(name)), expected)


def test_a_row_that_does_not_use_a_slot_gets_exactly_zero():
    from steering.edits import coefficients

    acts = 1e6 * torch.rand(7, 50, 1)
    got = coefficients(acts, edit_tensors(*TABLE))
    assert torch.equal(got[-1], torch.zeros(50, 1))


def test_rows_of_one_batch_mix_edits_freely():
    from steering.edits import coefficients

    acts = 4 * torch.rand(7, 50, 1)
    together = coefficients(acts, edit_tensors(*TABLE))
    for i, name in enumerate(TABLE):
        alone = coefficients(acts[i : i + 1], edit_tensors(name))
        assert torch.equal(together[i : i + 1], alone)


def positions_where(mask: torch.Tensor) -> list[int]:
    return mask[0, :, 0].nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("where", "expected"),
    [("all", [1, 2, 3, 4, 5]), ("prompt", [1, 2, 3]), ("generated", [3, 4, 5])],
)
def test_positions_count_from_the_rows_own_first_token(where, expected):
    from steering.edits import position_mask

    # Two columns of padding, a prompt of 4 tokens (the last at position 3), two written ones.
    got = position_mask(chunk(pads=[2], prompt=[4], width=8), mask_tensors(where))
    assert [column - 2 for column in positions_where(got)] == expected


def test_the_first_position_and_special_tokens_are_edited_only_when_asked():
    from steering.edits import position_mask

    special = torch.tensor([[True, False, True, False, False]])
    at = chunk(pads=[0], prompt=[4], width=5, special=special)
    assert positions_where(position_mask(at, mask_tensors())) == [1, 3, 4]
    assert positions_where(position_mask(at, mask_tensors(special=True))) == [1, 2, 3, 4]
    everything = position_mask(at, mask_tensors(first=True, special=True))
    assert positions_where(everything) == [0, 1, 2, 3, 4]


def test_the_last_prompt_token_counts_as_generated_even_where_it_is_special():
    from steering.edits import position_mask

    special = torch.tensor([[True, False, False, True, False]])
    at = chunk(pads=[0], prompt=[4], width=5, special=special)
    assert positions_where(position_mask(at, mask_tensors("generated"))) == [3, 4]
    assert positions_where(position_mask(at, mask_tensors("prompt"))) == [1, 2]


def test_padding_is_never_edited_not_even_in_paper_mode():
    from steering.edits import position_mask

    at = chunk(pads=[3], prompt=[2], width=5)
    assert positions_where(position_mask(at, mask_tensors(first=True, special=True))) == [3, 4]


@pytest.mark.parametrize("where", ["all", "prompt", "generated"])
@pytest.mark.parametrize(("start", "stop"), [(0, None), (2, 5), (4, None)])
def test_the_mask_of_a_chunk_is_the_slice_of_the_mask_of_the_whole(where, start, stop):
    from steering.edits import position_mask

    tensors = mask_tensors(where, start=start, stop=stop)
    whole = position_mask(chunk(pads=[1], prompt=[4], width=9), tensors)
    for column in range(9):
        one = position_mask(chunk(pads=[1], prompt=[4], width=1, offset=column), tensors)
        assert torch.equal(one[:, 0], whole[:, column])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ramp", [1, 1, 0.25, 0.5, 0.75, 1, 1]),
        ("decay", [1, 1, 1, 2**-0.25, 2**-0.5, 2**-0.75, 0.5]),
        ("stop_after", [1, 1, 1, 1, 1, 1, 0]),
        ("every_n", [1, 1, 1, 0, 0, 0, 1]),
    ],
)
def test_schedules_start_at_the_last_prompt_token(kind, expected):
    from steering.edits import ScheduleTensors, schedule_factor

    kinds = ["ramp", "decay", "stop_after", "every_n"]
    flags = [torch.tensor([[kind == each]]) for each in kinds]
    schedule = ScheduleTensors(torch.tensor([[4]]), *flags)
    got = schedule_factor(chunk(pads=[0], prompt=[3], width=7), schedule)
    torch.testing.assert_close(got[0, :, 0], torch.tensor(expected, dtype=torch.float32))


def gate_tensors(*, above: float, on_prompt: bool = False, tokens: int = 1, source: int = 0):
    from steering.edits import GateTensors

    return GateTensors(
        torch.tensor([[source]]),
        torch.tensor([[above]]),
        torch.tensor([[on_prompt]]),
        torch.tensor([[tokens]]),
    )


def test_a_recent_condition_looks_back_and_never_ahead():
    from steering.edits import gate_open

    history = torch.tensor([[[0.0, 9.0, 0.0, 0.0, 0.0, 9.0]]])
    at = chunk(pads=[0], prompt=[3], width=6)
    got = gate_open(history, at, gate_tensors(above=1.0, tokens=3))
    assert positions_where(got) == [1, 2, 3, 5]
    late = chunk(pads=[0], prompt=[3], width=1, offset=3)
    assert positions_where(gate_open(history[..., :4], late, gate_tensors(above=1, tokens=3)))
    assert not positions_where(gate_open(history[..., :4], late, gate_tensors(above=1, tokens=2)))


def test_a_prompt_condition_opens_generated_positions_only():
    from steering.edits import gate_open

    history = torch.tensor([[[0.0, 9.0, 0.0, 0.0, 0.0]]])
    at = chunk(pads=[0], prompt=[3], width=5)
    assert positions_where(gate_open(history, at, gate_tensors(above=1, on_prompt=True))) == [
        2,
        3,
        4,
    ]
    assert not positions_where(gate_open(history, at, gate_tensors(above=10, on_prompt=True)))


def test_a_slot_without_a_condition_is_always_open():
    from steering.edits import gate_open

    history = torch.zeros(1, 1, 4)
    at = chunk(pads=[0], prompt=[2], width=4)
    assert gate_open(history, at, gate_tensors(above=1.0, source=-1)).all()


def test_position_zero_padding_and_special_tokens_do_not_count_for_conditions():
    from steering.edits import countable

    special = torch.tensor([[True, True, False, True, True]])
    got = countable(chunk(pads=[1], prompt=[4], width=5, special=special))
    # Column 0 is padding, 1 is position 0, 3 is special, 4 is the last prompt token.
    assert got[0].tolist() == [False, False, True, False, True]
