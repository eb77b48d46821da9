"""Streamed text: whole characters, no stop strings, the same as decoding it all at once."""

import itertools
import random

import pytest

from tests import tiny

TEXTS = {
    "byte_level": ["fog", " ", "é", "日本語", "🌉", "🌉🌉🌉🌉", "\n"],
    "byte_fallback": ["a", "bad cafe", " ", "é", "日本語", "🌉", "🌉🌉🌉🌉", "\n"],
    "tokenizer": ["the ", "fog ", "bridge ", "of "],
}


def decode(ids) -> str:
    """Token i is byte i."""
    return bytes(ids).decode("utf-8", errors="replace")


def stream(text: str, stop=(), prompt=b"say: "):
    """Push a text byte by byte; the state at the end and the pieces on the way."""
    from steering.detokenise import TextSoFar

    state, shown = TextSoFar.after(list(prompt)), [""]
    for byte in text.encode():
        state = state.push(byte, decode, stop)
        shown.append(state.text)
        if state.stopped:
            break
    return state.flush(decode), shown


@pytest.mark.parametrize("text", ["fog and red", "naïve — «é» 🌉 bridge", "日本語", ""])
def test_the_pieces_spell_the_text(text):
    state, shown = stream(text)
    assert state.text == text
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))
    assert not any("\ufffd" in piece for piece in shown)


def test_nothing_of_a_stop_string_is_ever_shown():
    state, shown = stream("the end. User: more", stop=["User:", "###"])
    assert state.text == "the end. "
    assert state.stopped
    assert not any("U" in piece for piece in shown)


def test_what_only_looked_like_a_stop_string_is_shown_in_the_end():
    state, _ = stream("the Use", stop=["User:"])
    assert state.text == "the Use"
    state, _ = stream("Used cars", stop=["User:"])
    assert state.text == "Used cars"


def test_the_earliest_stop_string_wins():
    assert stream("a###bUser:", stop=["User:", "###"])[0].text == "a"


def test_a_character_cut_off_at_the_end_is_marked_and_not_lost():
    from steering.detokenise import TextSoFar

    state = TextSoFar.after([65]).push("é".encode()[0], decode, ())
    assert state.text == ""
    assert state.flush(decode).text == "\ufffd"


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("seed", range(20))
def test_a_streamed_text_is_the_whole_decode(kind, seed):
    from steering.detokenise import TextSoFar
    from steering.models import LanguageModel

    lm = LanguageModel("tiny", tiny.hf_model(), getattr(tiny, kind)())
    draw = random.Random(seed)
    parts = ["".join(draw.choices(TEXTS[kind], k=12)) for _ in range(2)]
    # Encoded apart, as a prompt is: whatever a tokenizer puts at the start of a text is in both.
    prompt, new = [lm.tokenizer.encode(part, add_special_tokens=False) for part in parts]
    special = min(lm.special_ids)
    new = [token for each in new for token in [each, *[special] * (draw.random() < 0.1)]]
    # A special token splits a run of bytes for nobody: it is left out before the rest is decoded.
    state, shown = TextSoFar.after(prompt), ""
    for token in new:
        state = state.push(token, lm.decode, ())
        assert state.text.startswith(shown)
        shown = state.text
    assert "\ufffd" not in shown
    assert lm.decode(prompt) + state.flush(lm.decode).text == lm.decode([*prompt, *new])


def test_a_token_is_decoded_behind_one_piece_however_long_the_text():
    from steering.detokenise import TextSoFar

    asked = []

    def counted(ids):
        asked.append(len(ids))
        return decode(ids)

    state = TextSoFar.after(list(b"say"))
    for byte in "fog 🌉 ".encode() * 50:
        state = state.push(byte, counted, ())
    assert max(asked) <= 8
