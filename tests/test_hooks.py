"""Hooks: neutral to the bit, gone after the pass, and never silently somewhere else."""

import pytest
import torch

from tests import tiny
from tests.tiny import intervention, plan_of


def whole(rows: int, width: int):
    """A chunk that carries everything, as a first pass does."""
    from steering.edits import Chunk

    special = torch.zeros(rows, width, dtype=torch.bool)
    return Chunk(0, torch.zeros(rows, dtype=torch.long), torch.full((rows,), width), special)


def hook_output(session, plan, x):
    """What the hook at the SAE's place makes of a stream."""
    from steering.hooks import steered

    site = session.model.site(plan.sites[0].point)
    chunk = whole(*x.shape[:2])
    history = torch.zeros(x.shape[0], plan.n_watched, x.shape[1])
    seen = []
    with steered(session.model, plan, chunk, history) as record:
        (hook,) = site.module._forward_hooks.values()
        seen.append(hook(site.module, (), x))
    return seen[0], record


NEUTRAL = [
    {"edit": "add", "strength": 0.0, "max_act": 3.0},
    {"edit": "add", "strength": 0.0, "unit": "norm"},
    {"edit": "add", "strength": 0.0, "unit": "raw"},
    {"edit": "scale", "strength": 1.0},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fields", NEUTRAL, ids=str)
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_a_neutral_edit_gives_back_its_input_to_the_bit(kind, fields, dtype):
    session = tiny.session(kind)
    x = (100 * torch.randn(2, 5, tiny.D_MODEL)).to(dtype)
    edit = intervention(**fields)
    output, record = hook_output(session, plan_of(session, [edit], [edit]), x)
    assert torch.equal(output, x)
    assert record.calls == 1
    assert record.steered == [[], []]


def test_a_row_without_edits_gives_back_its_input_to_the_bit():
    session = tiny.session()
    x = torch.randn(2, 5, tiny.D_MODEL)
    plan = plan_of(session, [], [intervention(strength=9.0, unit="raw")])
    output, record = hook_output(session, plan, x)
    assert torch.equal(output[0], x[0])
    assert torch.equal(output[1, 0], x[1, 0]), "position 0 is left alone"
    assert record.steered == [[], [1, 2, 3, 4]]


def test_the_input_tensor_is_not_modified():
    session = tiny.session()
    x = torch.randn(1, 5, tiny.D_MODEL)
    before = x.clone()
    hook_output(session, plan_of(session, [intervention(strength=9.0, unit="raw")]), x)
    assert torch.equal(x, before)


def test_hooks_come_off_when_the_pass_raises():
    from steering.hooks import steered

    session = tiny.session()
    plan = plan_of(session, [intervention(strength=9.0, unit="raw")])
    block = session.model.site(plan.sites[0].point).module
    with (
        pytest.raises(KeyboardInterrupt),
        steered(session.model, plan, whole(1, 4), torch.zeros(1, 0, 4)),
    ):
        assert block._forward_hooks
        raise KeyboardInterrupt
    assert not block._forward_hooks


def test_a_tuple_keeps_its_other_members():
    from steering.hook_points import HookPoint
    from steering.hooks import _hooked
    from steering.models import Site

    class Block(torch.nn.Module):
        def forward(self, x):
            return x, "attention", None

    block = Block()
    point = HookPoint(0, "attn_out")
    with _hooked(Site(block, "out"), lambda x: x + 1, point):
        x, *rest = block(torch.zeros(2))
    assert x.tolist() == [1, 1]
    assert rest == ["attention", None]


def test_an_output_of_unknown_form_raises_instead_of_passing_unsteered():
    from steering.errors import HookNameError
    from steering.hook_points import HookPoint
    from steering.hooks import _hooked
    from steering.models import Site

    class Block(torch.nn.Module):
        def forward(self, x):
            return {"hidden_states": x}

    block = Block()
    with (
        _hooked(Site(block, "out"), lambda x: x + 1, HookPoint(0, "resid_post")),
        pytest.raises(HookNameError, match="gives a dict"),
    ):
        block(torch.zeros(2))


@pytest.mark.parametrize("as_keyword", [True, False])
def test_an_input_is_edited_whether_it_comes_by_position_or_by_name(as_keyword):
    from steering.hook_points import HookPoint
    from steering.hooks import _hooked
    from steering.models import Site

    class Block(torch.nn.Module):
        def forward(self, hidden_states):
            return hidden_states

    block, x = Block(), torch.zeros(2)
    with _hooked(Site(block, "in"), lambda x: x + 1, HookPoint(0, "resid_pre")):
        out = block(hidden_states=x) if as_keyword else block(x)
    assert out.tolist() == [1, 1]


def test_a_stream_of_another_shape_raises():
    from steering.errors import HookNameError

    session = tiny.session()
    plan = plan_of(session, [intervention(strength=9.0, unit="raw")])
    with pytest.raises(HookNameError, match=r"carries \(1, 5, 16\)"):
        hook_output(session, plan, torch.randn(1, 5, 16))


def test_every_decode_step_is_edited():
    """The commonest bug of all: steering the prompt and then nothing."""
    session = tiny.session()
    widths = []
    site = session.model.site(
        plan_of(session, [intervention(strength=9.0, unit="raw")]).sites[0].point
    )
    handle = site.module.register_forward_hook(lambda m, a, out: widths.append(out.shape[1]))
    from steering.interventions import Sampling

    row = session.generate(
        "the bridge is red",
        [intervention(strength=9.0, unit="raw")],
        Sampling(max_new_tokens=4, stop_at_eos=False),
    )
    handle.remove()
    assert widths == [5, 1, 1, 1]
    assert row.liveness.hook_calls == 4
    special = session.model.special_ids
    written = [5 + i for i, token in enumerate(row.token_ids[:-1]) if token not in special]
    assert row.liveness.steered_positions == (1, 2, 3, 4, *written)
