"""The decode: exact against SAELens, cached as uncached, ragged as single, neutral as unhooked."""

import itertools

import pytest
import torch

from tests import tiny
from tests.tiny import intervention, plan_of
from tests.when import WHEN, condition

PROMPT = "the bridge is red and we walk over the sea"
TOLERANCE = 1e-4


def decoder(session, rows, prompts, **sampling):
    """A decoder and its first state: one row for each list of interventions and prompt."""
    from steering.generation import Decoder, RowState
    from steering.interventions import Sampling

    decode = Decoder(session.model, plan_of(session, *rows), Sampling(**sampling))
    encoded = [session.model.encode(p, prepend_bos=True) for p in prompts]
    return decode, decode.start([RowState.start("row", e, 0, None) for e in encoded])


def run(decode, state):
    """Every step's logits, nan for rows that have left the batch, and the final rows."""
    logits = []
    while not state.done:
        carried = decode.logits(state)
        every = carried.new_full((len(state.rows), carried.shape[1]), torch.nan)
        every[list(state.batch)] = carried
        logits.append(every)
        state, _ = decode.step(state)
    return torch.stack(logits), state


def textbook_logits(session, ids, feature, edit, positions):
    """Encode, edit, decode and add the error by SAELens, on TransformerLens's bridge."""
    sae = next(iter(session.saes.values()))
    lens = sae.inner
    mask = torch.zeros(len(ids), 1, dtype=torch.bool)
    mask[positions] = True

    def replace(x, hook):
        flat = x.flatten(2)
        acts = lens.encode(flat)
        edited = acts.clone()
        folded = acts[..., feature] * sae.norms[feature]
        edited[..., feature] = edit(folded) / sae.norms[feature]
        error = flat - lens.decode(lens.encode(flat))
        lens.encode(flat)  # run-time normalisation keeps state for one decode
        return torch.where(mask, lens.decode(edited) + error, flat).reshape(x.shape)

    with torch.no_grad():
        return session.model.bridge.run_with_hooks(
            torch.tensor([ids]), fwd_hooks=[(sae.hook_name, replace)]
        )[0]


EDITS = {
    "add": ({"edit": "add", "strength": 4.0, "unit": "raw"}, lambda f: f + 4.0),
    "clamp": ({"edit": "clamp", "strength": 6.0, "unit": "raw"}, lambda f: torch.full_like(f, 6.0)),
    "ablate": ({"edit": "ablate"}, torch.zeros_like),
    "negative": (
        {"edit": "clamp", "strength": -3.0, "unit": "raw"},
        lambda f: torch.full_like(f, -3.0),
    ),
    "scale": ({"edit": "scale", "strength": 2.5}, lambda f: 2.5 * f),
    "floor": ({"edit": "floor", "strength": 1.0, "unit": "raw"}, lambda f: f.clamp(min=1.0)),
    "cap": ({"edit": "cap", "strength": 0.5, "unit": "raw"}, lambda f: f.clamp(max=0.5)),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_an_edit_is_encode_edit_decode_plus_error_by_saelens(kind, edit):
    session = tiny.session(kind)
    fields, g = EDITS[edit]
    decode, state = decoder(session, [[intervention(**fields)]], [PROMPT])
    ids = list(state.rows[0].prompt.ids)
    expected = textbook_logits(session, ids, 3, g, list(range(1, len(ids))))
    torch.testing.assert_close(decode.logits(state)[0], expected[-1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("scaling", ["layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_run_time_input_normalisation_is_exact(kind, scaling):
    session = tiny.session(kind, normalize_activations=scaling)
    fields, g = EDITS["clamp"]
    decode, state = decoder(session, [[intervention(**fields)]], [PROMPT])
    ids = list(state.rows[0].prompt.ids)
    expected = textbook_logits(session, ids, 3, g, list(range(1, len(ids))))
    torch.testing.assert_close(decode.logits(state)[0], expected[-1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("model", ["llama", "gpt2", "gemma2", "neox"])
@pytest.mark.parametrize(
    "hook_name",
    [
        "blocks.0.hook_resid_pre",
        "blocks.2.hook_resid_pre",
        "blocks.1.hook_resid_post",
        "blocks.1.hook_attn_out",
        "blocks.1.hook_mlp_out",
        "blocks.1.attn.hook_z",
    ],
)
def test_the_pristine_model_is_steered_where_the_bridge_says(model, hook_name):
    session = tiny.session(model=model, hook_name=hook_name)
    fields, g = EDITS["clamp"]
    decode, state = decoder(session, [[intervention(**fields)]], [PROMPT])
    ids = list(state.rows[0].prompt.ids)
    expected = textbook_logits(session, ids, 3, g, list(range(1, len(ids))))
    torch.testing.assert_close(decode.logits(state)[0], expected[-1], atol=TOLERANCE, rtol=0)
    untouched = textbook_logits(session, ids, 3, g, [])[-1]
    assert (expected[-1] - untouched).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("kind", ["jumprelu", "topk"])
def test_a_cached_decode_equals_one_without_a_cache(kind, when):
    session = tiny.session(kind)
    edit = intervention(edit="clamp", strength=6.0, unit="raw", **WHEN[when]())
    decode, state = decoder(session, [[edit]], [PROMPT], max_new_tokens=8, temperature=0.0)
    prompt = state.rows[0].prompt
    cached, end = run(decode, state)
    for step in range(8):
        whole = uncached_logits(decode, prompt, end.rows[0].tokens[:step])
        torch.testing.assert_close(cached[step], whole, atol=TOLERANCE, rtol=0)
        assert int(whole.argmax()) == end.rows[0].tokens[step]


def uncached_logits(decode, prompt, written):
    """The same row in one pass over all its tokens."""
    from dataclasses import replace

    from steering.generation import RowState

    model = decode.model
    special = (*prompt.special, *(token in model.special_ids for token in written))
    longer = replace(prompt, ids=(*prompt.ids, *written), special=special)
    state = decode.start([RowState.start("row", longer, 0, None)])
    length = torch.tensor([len(prompt.ids)])
    return decode.logits(replace(state, chunk=state.chunk._replace(prompt_length=length)))


@pytest.mark.parametrize("model", ["gpt2", "gemma2", "neox"])
def test_cached_equals_uncached_for_other_model_families_too(model):
    session = tiny.session(model=model)
    edit = intervention(edit="clamp", strength=6.0, unit="raw")
    options = {"max_new_tokens": 8, "temperature": 0.0, "stop_at_eos": False}
    decode, state = decoder(session, [[edit]], [PROMPT], **options)
    cached, end = run(decode, state)
    for step in range(8):
        whole = uncached_logits(decode, state.rows[0].prompt, end.rows[0].tokens[:step])
        torch.testing.assert_close(cached[step], whole, atol=TOLERANCE, rtol=0)


def test_conditions_and_schedules_really_differ_from_plain_edits():
    """Guards the tests above: each of these must change something."""
    session = tiny.session()
    edits = [
        [intervention(edit="clamp", strength=6.0, unit="raw", **make())] for make in WHEN.values()
    ]
    decode, state = decoder(session, edits, [PROMPT] * len(edits), max_new_tokens=8, temperature=0)
    logits, _ = run(decode, state)
    first = dict(zip(WHEN, logits.transpose(0, 1), strict=True))
    for one, other in itertools.combinations(WHEN, 2):
        gap = (first[one] - first[other]).abs().max()
        # A condition that holds on the prompt opens exactly the generated positions.
        same = {one, other} == {"generated", "on prompt"}
        assert (gap < TOLERANCE) if same else (gap > TOLERANCE), (one, other)


@pytest.mark.parametrize("on", ["recent", "prompt"])
def test_a_condition_that_never_holds_leaves_the_row_as_the_baseline(on):
    session = tiny.session()
    edit = intervention(strength=6.0, unit="raw", **condition(feature=5, above=1e9, on=on))
    decode, state = decoder(session, [[], [edit]], [PROMPT] * 2, max_new_tokens=4, temperature=0)
    logits, end = run(decode, state)
    torch.testing.assert_close(logits[:, 1], logits[:, 0], atol=TOLERANCE, rtol=0)
    assert end.rows[1].liveness.tokens_steered == 0


@pytest.mark.parametrize("model", ["llama", "gpt2", "gemma2"])
def test_a_ragged_batch_of_eight_equals_eight_single_runs(model):
    session = tiny.session(model=model)
    options = {"max_new_tokens": 6, "temperature": 0.0, "stop_at_eos": False}
    words = PROMPT.split()
    prompts = [" ".join(words[: n + 1]) for n in range(8)]
    row = [intervention(edit="clamp", strength=6.0, unit="raw"), intervention(9, edit="ablate")]
    together, state = decoder(session, [row] * 8, prompts, **options)
    logits, end = run(together, state)
    for i, prompt in enumerate(prompts):
        alone, single = decoder(session, [row], [prompt], **options)
        expected, finished = run(alone, single)
        torch.testing.assert_close(logits[:, i], expected[:, 0], atol=TOLERANCE, rtol=0)
        assert end.rows[i].tokens == finished.rows[0].tokens


NEUTRAL = {
    "add 0 max_act": {"edit": "add", "strength": 0.0, "max_act": 3.0},
    "add 0 norm": {"edit": "add", "strength": 0.0, "unit": "norm"},
    "add 0 raw": {"edit": "add", "strength": 0.0, "unit": "raw"},
    "scale 1": {"edit": "scale", "strength": 1.0},
    "switched off": {"edit": "clamp", "strength": 5.0, "unit": "raw", "enabled": False},
}


@pytest.mark.parametrize("neutral", [*NEUTRAL, "empty"])
def test_a_decode_with_neutral_plans_is_bitwise_one_without_hooks(neutral):
    session = tiny.session()
    row = [] if neutral == "empty" else [intervention(**NEUTRAL[neutral])]
    options = {"max_new_tokens": 6, "temperature": 0.9}
    hooked, state = decoder(session, [[], row], [PROMPT] * 2, **options)
    plain, bare = decoder(session, [[], []], [PROMPT] * 2, **options)
    assert not plain.plan.sites
    logits, end = run(hooked, state)
    expected, finished = run(plain, bare)
    assert torch.equal(logits, expected)
    assert end.rows[1].tokens == end.rows[0].tokens == finished.rows[0].tokens
    torch.testing.assert_close(logits[:, 1], logits[:, 0], atol=TOLERANCE, rtol=0)


def test_a_step_leaves_the_state_it_was_given_as_it_was():
    session = tiny.session()
    decode, state = decoder(session, [[intervention(strength=6.0, unit="raw")]], [PROMPT])
    state, _ = decode.step(state)
    once, first = decode.step(state)
    again, second = decode.step(state)
    assert first == second
    assert torch.equal(decode.logits(once), decode.logits(again))


def test_two_decodes_on_one_model_do_not_touch_each_other():
    session = tiny.session()
    edited, a = decoder(session, [[intervention(strength=6.0, unit="raw")]], [PROMPT])
    plain, b = decoder(session, [[]], [PROMPT])
    alone, _ = run(*decoder(session, [[]], [PROMPT]))
    for expected in alone:
        assert torch.equal(plain.logits(b), expected)
        a, _ = edited.step(a) if not a.done else (a, None)
        b, _ = plain.step(b)


def test_noise_is_a_function_of_seed_and_step_alone():
    from steering.sampling import gumbel

    assert torch.equal(gumbel(3, 4, 50), gumbel(3, 4, 50))
    assert not torch.equal(gumbel(3, 4, 50), gumbel(3, 5, 50))
    assert not torch.equal(gumbel(3, 4, 50), gumbel(4, 4, 50))


def test_gumbel_max_draws_from_the_softmax():
    """A wrong sampler misses by far; 4 standard errors raise a false alarm once in 10^4 runs."""
    from steering.sampling import gumbel

    scores = torch.tensor([0.0, 1.0, 2.0])
    draws = torch.stack([(scores + gumbel(0, step, 3)).argmax() for step in range(4000)])
    share = torch.bincount(draws, minlength=3) / 4000
    expected = scores.softmax(0)
    error = (expected * (1 - expected) / 4000).sqrt()
    assert ((share - expected).abs() < 4 * error).all()


def test_logprobs_are_of_the_chosen_tokens_before_temperature_and_penalty():
    session = tiny.session()
    options = {"max_new_tokens": 5, "temperature": 2.0, "repetition_penalty": 1.5}
    decode, state = decoder(session, [[]], [PROMPT], **options)
    logits, end = run(decode, state)
    expected = logits[:, 0].log_softmax(-1)
    picked = [float(expected[i, token]) for i, token in enumerate(end.rows[0].tokens)]
    assert picked == pytest.approx(list(end.rows[0].logprobs), abs=1e-5)


def test_repetition_penalty_is_transformers_own():
    from transformers import RepetitionPenaltyLogitsProcessor

    from steering.sampling import penalised

    session = tiny.session()
    decode, state = decoder(session, [[]], [PROMPT])
    logits = decode.logits(state)
    ids = torch.tensor([state.rows[0].prompt.ids])
    expected = RepetitionPenaltyLogitsProcessor(1.7)(ids, logits.clone())  # type: ignore[arg-type]
    torch.testing.assert_close(penalised(logits, [row.draw for row in state.rows], 1.7), expected)


@pytest.mark.parametrize(
    "fields", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 0.0}]
)
def test_the_narrowest_sampling_is_greedy(fields):
    session = tiny.session()
    options = {"max_new_tokens": 6, "temperature": 3.0, **fields}
    _, greedy = run(*decoder(session, [[]], [PROMPT], max_new_tokens=6, temperature=0.0))
    _, narrow = run(*decoder(session, [[]], [PROMPT], **options))
    assert narrow.rows[0].tokens == greedy.rows[0].tokens


def test_rows_stop_on_their_own_and_are_not_counted_further():
    session = tiny.session()
    row = [intervention(edit="add", strength=6.0, unit="raw")]
    free, start = decoder(session, [[], row], [PROMPT] * 2, max_new_tokens=8, temperature=0.0)
    _, end = run(free, start)
    word = session.model.decode([end.rows[1].tokens[2]])
    options = {"max_new_tokens": 8, "temperature": 0.0, "stop": (word,)}
    decode, state = decoder(session, [[], row], [PROMPT] * 2, **options)
    _, stopped = run(decode, state)
    assert stopped.rows[1].finish == "stop"
    assert word not in stopped.rows[1].text.text
    assert stopped.rows[1].step <= 3
    prompt = len(stopped.rows[1].prompt.ids)
    assert stopped.rows[1].liveness.tokens_steered == prompt - 1 + stopped.rows[1].step - 1


@pytest.mark.parametrize("model", ["llama", "gpt2", "gemma2"])
def test_rows_that_have_finished_leave_the_batch_and_the_others_go_on_as_if_alone(model):
    session = tiny.session(model=model)
    kinds = [
        [],
        [intervention(edit="clamp", strength=6.0, unit="raw")],
        [intervention(9, edit="ablate"), intervention(edit="add", strength=4.0, unit="raw")],
        [intervention(edit="floor", strength=5.0, unit="raw", **WHEN["on recent"]())],
        [intervention(strength=6.0, unit="raw", **WHEN["decay"]())],
    ]
    words = PROMPT.split()
    prompts = [" ".join(words[: n + 2]) for n in range(len(kinds))]
    options = {"max_new_tokens": 9, "temperature": 0.0}

    def alone():
        pairs = zip(kinds, prompts, strict=True)
        return [run(*decoder(session, [row], [p], **options))[1].rows[0] for row, p in pairs]

    ends = {row.tokens[min(n, row.step - 1)] for n, row in enumerate(alone()[:3])}
    session.model.__dict__["eos_ids"] = frozenset(ends)  # some rows now end sooner
    expected = alone()
    decode, state = decoder(session, kinds, prompts, **options)
    widths = []
    while not state.done:
        widths.append(len(state.batch))
        running = {i for i, row in enumerate(state.rows) if not row.finish}
        assert running <= set(state.batch)
        state, _ = decode.step(state)
    assert widths[0] == len(kinds) > widths[-1]
    assert widths == sorted(widths, reverse=True)
    for i, (row, single) in enumerate(zip(state.rows, expected, strict=True)):
        assert (row.tokens, row.finish) == (single.tokens, single.finish), i
        assert row.logprobs == pytest.approx(single.logprobs, abs=TOLERANCE)
        assert row.liveness.steered_positions == single.liveness.steered_positions
    # What each slot did is counted for every row, also after the last has left.
    assert all(counts.shape[0] == len(kinds) for counts in (*state.allowed, *state.acted))


def test_eos_ends_a_row_unless_asked_not_to():
    session = tiny.session()
    _, end = run(*decoder(session, [[]], [PROMPT], max_new_tokens=6, temperature=0.0))
    session.model.__dict__["eos_ids"] = frozenset({end.rows[0].tokens[1]})
    _, short = run(*decoder(session, [[]], [PROMPT], max_new_tokens=6, temperature=0.0))
    assert (short.rows[0].finish, short.rows[0].step) == ("eos", 2)
    options = {"max_new_tokens": 6, "temperature": 0.0, "stop_at_eos": False}
    _, full = run(*decoder(session, [[]], [PROMPT], **options))
    assert (full.rows[0].finish, full.rows[0].step) == ("length", 6)


@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_a_row_ends_at_the_models_context_and_does_not_break_its_neighbours(model):
    session = tiny.session(model=model)
    long = " ".join(["the bridge is red"] * 15)
    decode, state = decoder(
        session, [[], []], [long, "the"], max_new_tokens=20, temperature=0.0, stop_at_eos=False
    )
    _, end = run(decode, state)
    assert (end.rows[0].finish, end.rows[0].length) == ("context", tiny.N_CTX)
    assert (end.rows[1].finish, end.rows[1].step) == ("length", 20)


def test_bfloat16_decodes_and_really_steers():
    session = tiny.session()
    torch.nn.Module.to(session.model.hf, torch.bfloat16)
    row = [intervention(strength=6.0, unit="raw")]
    decode, state = decoder(session, [[], row], [PROMPT] * 2, max_new_tokens=4, temperature=0.0)
    _, end = run(decode, state)
    assert end.rows[1].liveness.tokens_steered > 0
    assert end.rows[0].liveness.tokens_steered == 0
