"""Plans: shared slots, refused conflicts, and copies instead of views."""

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.memory import held_bytes
from tests import tiny
from tests.test_hooks import whole
from tests.tiny import intervention, plan_of


def condition(**fields):
    from steering.interventions import Condition

    return Condition(**fields)


def test_a_sweep_over_strengths_is_one_slot():
    session = tiny.session()
    plan = plan_of(session, *[[intervention(strength=float(s), unit="raw")] for s in range(17)])
    (site,) = plan.sites
    assert site.directions.shape == (1, tiny.D_MODEL)
    assert site.edit.bias[:, 0].tolist() == list(range(17))


def test_order_within_a_row_does_not_matter():
    from steering.interventions import Sampling

    session = tiny.session()
    a = intervention(3, strength=4.0, unit="raw")
    b = intervention(9, edit="add", strength=2.0, unit="raw")
    options = Sampling(max_new_tokens=5, temperature=0.0)
    one = session.generate("the bridge is red", [a, b], options)
    other = session.generate("the bridge is red", [b, a], options)
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_two_additions_to_one_feature_sum():
    from steering.interventions import Sampling

    session = tiny.session()
    halves = [intervention(3, edit="add", strength=2.0, unit="raw")] * 2
    whole = [intervention(3, edit="add", strength=4.0, unit="raw")]
    options = Sampling(max_new_tokens=5, temperature=0.0)
    one = session.generate("the bridge is red", halves, options)
    other = session.generate("the bridge is red", whole, options)
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@pytest.mark.parametrize("edit", ["clamp", "ablate", "scale", "floor", "cap"])
def test_two_edits_that_set_one_feature_are_refused(edit):
    from steering.errors import ConflictError

    session = tiny.session()
    fields = {} if edit == "ablate" else {"strength": 1.0}
    fields |= {} if edit in ("ablate", "scale") else {"unit": "raw"}
    both = [intervention(strength=2.0, unit="raw"), intervention(edit=edit, **fields)]
    with pytest.raises(ConflictError, match="feature 3"):
        plan_of(session, both)


def test_edits_at_positions_that_do_not_overlap_do_not_conflict():
    from steering.interventions import Positions

    session = tiny.session()
    early = intervention(strength=2.0, unit="raw", positions=Positions(stop=4))
    late = intervention(strength=5.0, unit="raw", positions=Positions(start=4))
    (site,) = plan_of(session, [early, late]).sites
    assert site.directions.shape[0] == 2


def test_a_switched_off_edit_conflicts_with_nothing_and_plans_nothing():
    session = tiny.session()
    off = intervention(strength=2.0, unit="raw", enabled=False)
    assert plan_of(session, [off, off]).sites == ()


def test_resid_pre_and_resid_post_before_it_are_one_site():
    from steering.models import LanguageModel
    from steering.session import Session

    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    saes = {
        "pre": tiny.sae(hook_name="blocks.2.hook_resid_pre"),
        "post": tiny.sae(hook_name="blocks.1.hook_resid_post"),
    }
    session = Session(model, saes)
    edits = [intervention(sae=alias, strength=2.0, unit="raw") for alias in saes]
    (site,) = plan_of(session, edits).sites
    assert site.directions.shape[0] == 2


def test_several_layers_are_steered_in_the_order_of_the_pass():
    from steering.models import LanguageModel
    from steering.session import Session

    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    names = ["blocks.2.hook_resid_post", "blocks.0.hook_resid_pre", "blocks.1.attn.hook_z"]
    session = Session(model, {name: tiny.sae(hook_name=name) for name in names})
    plan = plan_of(session, [intervention(sae=n, strength=2.0, unit="raw") for n in names])
    assert [site.point.name for site in plan.sites] == [names[1], names[2], names[0]]
    row = session.generate(
        "the bridge", [intervention(sae=n, strength=2.0, unit="raw") for n in names]
    )
    assert row.liveness.hook_calls == 3 * len(row.token_ids)


def test_a_condition_that_would_be_read_after_its_edit_is_refused():
    from steering.errors import HookNameError
    from steering.models import LanguageModel
    from steering.session import Session

    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    saes = {
        "early": tiny.sae(hook_name="blocks.0.hook_resid_post"),
        "late": tiny.sae(hook_name="blocks.2.hook_resid_post"),
    }
    session = Session(model, saes)
    fine = intervention(
        sae="late", strength=2.0, unit="raw", condition=condition(feature=1, sae="early")
    )
    assert plan_of(session, [fine]).n_watched == 1
    wrong = intervention(
        sae="early", strength=2.0, unit="raw", condition=condition(feature=1, sae="late")
    )
    with pytest.raises(HookNameError, match="comes after the edit"):
        plan_of(session, [wrong])


def test_a_random_control_has_the_same_coefficients_along_a_seeded_unit_vector():
    from steering.interventions import RandomControl

    session = tiny.session()
    real = intervention(strength=2.0, unit="raw")
    control = intervention(strength=2.0, unit="raw", control=RandomControl(seed=7))
    again = plan_of(session, [control]).sites[0].directions
    (site,) = plan_of(session, [real], [control]).sites
    assert torch.equal(site.directions[1], again[0])
    torch.testing.assert_close(site.directions.norm(dim=-1), torch.ones(2))
    assert abs(float(site.directions[0] @ site.directions[1])) < 0.9
    x = torch.randn(2, 5, tiny.D_MODEL)
    x[1] = x[0]
    acts, _ = site.read(x)
    amounts = site.amounts(acts, None, whole(2, 5))
    torch.testing.assert_close(amounts[0, :, 0], amounts[1, :, 1])
    assert not amounts[0, :, 1].any()
    assert not amounts[1, :, 0].any()


def test_another_features_direction_is_a_control_too():
    from steering.interventions import FeatureControl

    session = tiny.session()
    control = intervention(strength=2.0, unit="raw", control=FeatureControl(feature=20))
    (site,) = plan_of(session, [control]).sites
    torch.testing.assert_close(site.directions, session.saes["sae"].directions([20]))


def direction_file(tmp_path, **tensors):
    path = tmp_path / "direction.safetensors"
    save_file(tensors, path)
    return path


def plain(path, **fields):
    from steering.interventions import Direction, Intervention

    about = {"path": str(path), "hook_name": "blocks.1.hook_resid_post", **fields}
    return Intervention(direction=Direction(**about), edit="add", strength=3.0, unit="raw")


def test_a_plain_direction_from_a_file_is_added_at_unit_length(tmp_path):
    session = tiny.session()
    vector = torch.randn(tiny.D_MODEL)
    path = direction_file(tmp_path, honest=vector)
    (site,) = plan_of(session, [plain(path)]).sites
    torch.testing.assert_close(site.directions[0], vector / vector.norm())
    row = session.generate("the bridge is red", [plain(path)])
    assert row.liveness.tokens_steered > 0


def test_a_direction_file_that_cannot_be_used_says_why(tmp_path):
    from steering.errors import FeatureError, LoadError

    session = tiny.session()
    with pytest.raises(LoadError, match="Cannot read a direction"):
        plan_of(session, [plain(tmp_path / "none.safetensors")])
    two = direction_file(tmp_path, a=torch.ones(4), b=torch.ones(4))
    with pytest.raises(LoadError, match="holds the tensors a, b"):
        plan_of(session, [plain(two)])
    with pytest.raises(FeatureError, match="not of length 0"):
        plan_of(session, [plain(direction_file(tmp_path, a=torch.zeros(4)))])


def test_clamping_four_features_holds_copies_and_no_view_of_the_matrices():
    session = tiny.session(d_sae=20_000)
    plan = plan_of(
        session, [intervention(f, strength=2.0, unit="raw") for f in (1, 9, 500, 19_999)]
    )
    assert 0 < held_bytes(plan) < 10_000
    assert session.saes["sae"].inner.W_dec.untyped_storage().nbytes() > 2_000_000


def test_plain_additions_need_no_encoder():
    session = tiny.session("topk")
    plan = plan_of(session, [intervention(edit="add", strength=2.0, unit="raw")])
    (reader,) = plan.sites[0].readers
    assert type(reader).__name__ == "ZeroReader"
