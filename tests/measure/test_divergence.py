"""Token evidence: one teacher-forced pass says what the cached decode said."""

import math

import pytest

from tests import tiny
from tests.tiny import intervention
from tests.when import WHEN as EVERY_KIND
from tests.when import positions

PROMPT = "the bridge is red and the city"
STRONG = {"strength": 6.0, "unit": "raw"}


def sampling(**fields):
    from steering.interventions import Sampling

    return Sampling(**{"max_new_tokens": 8, "stop_at_eos": False, "temperature": 1.0, **fields})


WHEN = {**EVERY_KIND, "window": lambda: positions(start=4, stop=11)}


def evidence(session, comparison, **options):
    from steering.measure.divergence import token_evidence

    return token_evidence(session, comparison, **options)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_both_sides_are_the_probabilities_of_the_cached_decode(model, when):
    session = tiny.session(model=model)
    edit = intervention(edit="add", **STRONG, **WHEN[when]())
    made = session.compare(PROMPT, [edit], sampling())
    baseline, steered = evidence(session, made)
    for logprob, token in zip(made.baseline.logprobs, baseline, strict=True):
        assert token.baseline == pytest.approx(math.exp(logprob), abs=1e-4)
    for logprob, token in zip(made.steered.logprobs, steered, strict=True):
        assert token.steered == pytest.approx(math.exp(logprob), abs=1e-4)
    assert any(token.kl > 1e-3 for token in steered)


@pytest.mark.parametrize("model", ["gemma2", "neox"])
def test_other_model_families_and_ragged_prompts_agree_too(model):
    session = tiny.session("topk", model=model)
    edits = [intervention(**STRONG), intervention(9, edit="ablate")]
    made = session.compare([PROMPT, "the sea"], edits, sampling(max_new_tokens=12))
    for row, tokens in zip(made.rows, evidence(session, made), strict=True):
        own = [t.baseline if row.name == "baseline" else t.steered for t in tokens]
        assert own == pytest.approx([math.exp(each) for each in row.logprobs], abs=1e-4)


def test_the_first_kl_is_that_of_the_record_and_the_baseline_row_has_it_too():
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    baseline, steered = evidence(session, made)
    assert made.steered.liveness.first_difference == 0
    assert steered[0].kl == pytest.approx(made.steered.liveness.kl, abs=1e-4)
    assert baseline[0].kl == pytest.approx(steered[0].kl, abs=1e-4)
    assert baseline[0].steered_top == steered[0].steered_top


def test_alternatives_are_the_likeliest_tokens_of_each_side():
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling(temperature=0.0))
    for row, tokens in zip(made.rows, evidence(session, made, top=3), strict=True):
        for token_id, token in zip(row.token_ids, tokens, strict=True):
            top = token.baseline_top if row.name == "baseline" else token.steered_top
            assert (top[0].token_id, len(top)) == (token_id, 3)
            own = token.baseline if row.name == "baseline" else token.steered
            assert top[0].prob == own
            assert [each.prob for each in top] == sorted((a.prob for a in top), reverse=True)
    texts = [token.steered_top[0].text for token in evidence(session, made)[1]]
    ordinary = [t for i, t in zip(made.steered.token_ids, texts, strict=True) if i > 3]
    assert ordinary
    assert all(text.startswith(" ") for text in ordinary), "a word shows the space before it"


def test_edits_that_are_switched_off_have_the_same_numbers_on_both_sides():
    session = tiny.session()
    off = intervention(**STRONG, enabled=False)
    made = session.compare(PROMPT, {"empty": [], "off": [off]}, sampling())
    baseline, empty, switched_off = evidence(session, made)
    assert (len(baseline), len(empty), len(switched_off)) == (8, 0, 8)
    for row in (baseline, switched_off):
        for token in row:
            assert token.baseline == token.steered
            assert token.baseline_top == token.steered_top
            assert token.kl == 0.0


def test_the_baseline_is_held_against_the_first_steered_row_with_its_prompt():
    from steering.requests import RowRequest

    session = tiny.session()
    rows = [
        RowRequest("other", "the sea", [intervention(9, **STRONG)]),
        RowRequest("baseline", PROMPT),
        RowRequest("neutral", PROMPT),
        RowRequest("one", PROMPT, [intervention(**STRONG)]),
        RowRequest("two", PROMPT, [intervention(5, **STRONG)]),
    ]
    stream = session.stream_rows(rows, sampling(max_new_tokens=3))
    list(stream)
    _, baseline, _, one, _ = evidence(session, stream.comparison)
    assert baseline[0].steered_top == one[0].steered_top


def test_a_row_with_nothing_to_be_held_against_has_no_evidence():
    from steering.requests import RowRequest

    session = tiny.session()
    rows = [
        RowRequest("baseline", PROMPT),
        RowRequest("words", "the sea"),
        RowRequest("steered", "the sea", [intervention(**STRONG)]),
    ]
    stream = session.stream_rows(rows, sampling(max_new_tokens=3))
    list(stream)
    assert [len(row) for row in evidence(session, stream.comparison)] == [0, 0, 3]


def test_of_a_long_text_the_first_tokens_are_rated(monkeypatch):
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    whole = evidence(session, made)
    vocab = session.model.hf.config.vocab_size
    for numbers, rated in ((3 * 2 * vocab, 3), (4 * 2 * vocab - 1, 3), (1, 1), (99 * vocab, 8)):
        monkeypatch.setattr("steering.measure.divergence.MOST_NUMBERS", numbers)
        for row, all_of_it in zip(evidence(session, made), whole, strict=True):
            assert len(row) == rated
            for some, same in zip(row, all_of_it, strict=False):
                assert some.baseline == pytest.approx(same.baseline, abs=1e-5)
                assert some.steered == pytest.approx(same.steered, abs=1e-5)


def test_a_row_that_fills_the_context_and_one_that_wrote_nothing_are_rated():
    session = tiny.session(model="gpt2")
    long = " ".join(["the bridge is red"] * 15)
    made = session.compare(long, [intervention(**STRONG)], sampling(max_new_tokens=20))
    assert made.baseline.finish == "context"
    assert [len(row) for row in evidence(session, made)] == [3, 3]
    unwritten = session.stream(PROMPT, [intervention(**STRONG)], sampling())
    assert evidence(session, unwritten.comparison) == ((), ())


def test_only_logits_of_written_tokens_are_asked_of_the_model(monkeypatch):
    session, asked = tiny.session(), []
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling(max_new_tokens=4))
    forward = session.model.hf.forward

    def noted(*args, **kwargs):
        output = forward(*args, **kwargs)
        asked.append(tuple(output.logits.shape[:2]))
        return output

    assert session.model.keep_logits(4) == {"logits_to_keep": 4}
    monkeypatch.setattr(session.model.hf, "forward", noted)
    evidence(session, made)
    assert asked == [(2, 4), (2, 4)]
    assert not [m for m in session.model.hf.modules() if m._forward_hooks]


def test_parts_of_a_long_text_join_without_a_seam(monkeypatch):
    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling())
    whole = evidence(session, made)
    monkeypatch.setattr("steering.measure.divergence.PART", 3)
    assert evidence(session, made) == whole


def test_a_comparison_of_another_session_is_refused():
    from steering.errors import AliasError

    session = tiny.session()
    made = session.compare(PROMPT, [intervention(**STRONG)], sampling(max_new_tokens=2))
    with pytest.raises(AliasError, match="Ask the session that made it"):
        evidence(tiny.session(seed=1), made)
