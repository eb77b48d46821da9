"""Surprise and repetition of written texts, on the tiny model."""

import pytest

from steering import Sampling
from steering.errors import PromptError
from steering.measure.answers import answer_log_probs
from steering.measure.fluency import PART, repetition, surprise
from steering.records import Row
from tests import tiny
from tests.tiny import intervention

PROMPT = "the bridge is red and the city"


def _row(ids: tuple[int, ...]) -> Row:
    return Row("x", "p", "text", (0,), 0, "", ids, (), "length")


def test_repetition_counts_sequences_of_four_that_stood_there_before() -> None:
    assert repetition(_row((1, 2, 3, 4, 5, 6))) == 0
    assert repetition(_row((1, 2, 3))) == 0
    assert repetition(_row((1, 1, 1, 1, 1, 1))) == pytest.approx(2 / 3)


def sampling(**fields):
    return Sampling(**{"max_new_tokens": 5, "stop_at_eos": False, "temperature": 1.0, **fields})


def test_surprise_of_the_unsteered_text_is_its_own_log_probability():
    session = tiny.session(model="llama")
    edits = [intervention(edit="add", strength=6.0, unit="raw")]
    # More than fit one pass, of several lengths.
    prompts = [" ".join(PROMPT.split()[: 1 + at % 7]) for at in range(PART + 6)]
    made = session.compare(prompts, edits, sampling())
    rows = [row for row in made.rows if row.name == "baseline"]
    expected = [-sum(row.logprobs) / len(row.logprobs) for row in rows]
    assert surprise(session, rows) == pytest.approx(expected, abs=1e-4)


def test_an_answer_is_as_likely_as_the_decode_that_wrote_it_on_both_sides():
    session = tiny.session(model="llama")
    edit = intervention(edit="add", strength=6.0, unit="raw")
    made = session.compare(PROMPT, [edit], sampling())
    for row, edits in ((made.baseline, ()), (made.steered, (edit,))):
        text = str(session.model.tokenizer.decode(list(row.token_ids)))
        again = session.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tuple(again) == row.token_ids
        (found,) = answer_log_probs(session, PROMPT, text, [edits])
        assert found == pytest.approx(sum(row.logprobs) / len(row.logprobs), abs=1e-4)


def test_an_empty_answer_is_refused():
    with pytest.raises(PromptError, match="answer is empty"):
        answer_log_probs(tiny.session(model="llama"), PROMPT, "", [()])
