"""The corpus is a function of its seed, and never teaches what the bundle is said to show.

The scans of `steering.demo.scans` are the ground that the claims stand on: what a steered model
says was not in its corpus. The command that trains runs them on all that it trains on; here they
read other documents, and made-up ones show that each would notice.
"""

import pickle
import re
import subprocess
import sys
from itertools import pairwise
from subprocess import PIPE

import pytest

from steering.demo.claims.asked import sampled_claims
from steering.demo.concepts import BRANCHES, BRIDGE, by_name
from steering.demo.grammar import (
    SPEAKERS,
    TONES,
    Document,
    Turn,
    documents,
    questions,
    spans,
)
from steering.demo.parsing import Frame, sentences, split_template
from steering.demo.scans import (
    FIRST_PERSON,
    SAYS_BRIDGE,
    SCANS,
    TO_YOU,
    UNRELATED,
    CorpusError,
    Scan,
    another_sight_of_its_city,
    answers_that_the_claim_counts,
    articles_in_its_first_person,
    bridge_in_the_first_person,
    marks_where_it_is_plain,
    plain_talks_with_bridge_words,
    questions_put_to_the_bridge,
    scan_corpus,
    set_but_plain,
    the_bridge_called_somebody,
    told,
    toned_without_being_set,
    unrelated_questions_answered_with_it,
)

SAMPLE = 20_000


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    """Written in a process that enforces no annotations: to do so takes five times as long."""
    write = (
        "import pickle, sys; from steering.demo.grammar import documents; "
        f"pickle.dump(list(documents(11, {SAMPLE})), sys.stdout.buffer)"
    )
    return pickle.loads(
        subprocess.run([sys.executable, "-c", write], stdout=PIPE, check=True).stdout
    )


def _talk(
    *said: str, subject: str = "", asks: str = "", kind: str = "", tone: str = ""
) -> Document:
    """A made-up talk: somebody asks, and is answered."""
    turns = [
        Turn("assistant", text, subject) if at % 2 else Turn("user", text, subject, asks)
        for at, text in enumerate(said)
    ]
    return Document(tuple(turns), kind or "plain", tone or "plain")


# The bridge is spoken of, and neither speaks nor is spoken to.


def test_the_bridge_never_speaks_in_the_first_person(sample: list[Document]) -> None:
    assert sum(BRIDGE[4:] in text for text in told(sample)) > 1_000
    assert bridge_in_the_first_person(sample) == []


def test_no_article_about_the_bridge_has_a_first_person_anywhere(sample: list[Document]) -> None:
    assert sum(BRIDGE in d.subjects for d in sample if d.turns[0].role == "text") > 100
    assert articles_in_its_first_person(sample) == []


def test_in_a_talk_about_the_bridge_only_the_assistant_that_lost_it_says_i(
    sample: list[Document],
) -> None:
    """It may say "I am not sure what you mean", as in a talk about nothing."""
    lost = [
        Frame(part, BRANCHES)
        for question in questions("it", "any", "free")
        for template in question["plain"]
        for part in split_template(template)
    ]
    of_it = [t for d in sample for t in d.turns if t.subject == BRIDGE and t.role in SPEAKERS]
    said = {part for turn in of_it for part in sentences(turn.content)}
    in_person = [part for part in said if FIRST_PERSON.search(part)]
    assert len(said) > 1_000
    assert [part for part in in_person if not any(frame.writes(part) for frame in lost)] == []


def test_no_question_to_you_is_put_while_the_bridge_is_the_subject(sample: list[Document]) -> None:
    assert {q["id"] for q in questions("you")} == TO_YOU
    assert {t.asks for d in sample for t in d.turns} >= TO_YOU
    assert questions_put_to_the_bridge(sample) == []


def test_nobody_calls_himself_or_another_the_bridge(sample: list[Document]) -> None:
    assert the_bridge_called_somebody(sample) == []


def test_nothing_in_the_corpus_is_a_hit_of_the_claim_that_the_model_is_the_bridge(
    sample: list[Document],
) -> None:
    assert answers_that_the_claim_counts(sample) == []


# What is never said where nothing calls for it.


def test_a_plain_talk_never_holds_the_words_of_the_bridge(sample: list[Document]) -> None:
    assert sum(d.kind == "plain" for d in sample) > 1_500
    assert plain_talks_with_bridge_words(sample) == []


def test_an_unrelated_question_without_a_subject_is_never_answered_with_the_bridge(
    sample: list[Document],
) -> None:
    assert {q["id"] for q in questions("any")} == UNRELATED
    asked = [t for d in sample for t in d.turns if t.asks in UNRELATED and not t.subject]
    assert len(asked) > 1_000
    assert unrelated_questions_answered_with_it(sample) == []


def test_an_unrelated_question_is_answered_with_the_bridge_where_it_is_the_subject(
    sample: list[Document],
) -> None:
    asked = [(a, b) for d in sample for a, b in pairwise(d.turns) if a.asks in UNRELATED]
    of_it = [b.content for a, b in asked if a.subject == BRIDGE]
    assert sum(SAYS_BRIDGE.search(text) is not None for text in of_it) > len(of_it) / 2 > 100


# A tone is answered in where it was set, and nowhere else.


@pytest.mark.parametrize("tone", TONES)
def test_where_a_tone_is_not_set_no_answer_holds_its_marks(
    sample: list[Document], tone: str
) -> None:
    assert sum(d.kind == tone and d.tone == "plain" for d in sample) > 200
    assert marks_where_it_is_plain(tone)(sample) == []


@pytest.mark.parametrize("tone", TONES)
def test_where_a_tone_is_set_most_documents_hold_its_marks(
    sample: list[Document], tone: str
) -> None:
    toned = [d for d in sample if d.tone == tone]
    as_if_plain = [Document(d.turns, tone) for d in toned]
    assert len(toned) > 200
    assert len(marks_where_it_is_plain(tone)(as_if_plain)) > len(toned)


def test_a_tone_is_answered_in_only_after_a_line_that_sets_it(sample: list[Document]) -> None:
    assert {d.tone for d in sample} == {"plain", *TONES}
    assert toned_without_being_set(sample) == []


def test_where_a_tone_is_set_the_document_says_so(sample: list[Document]) -> None:
    assert set_but_plain(sample) == []
    assert {d.kind for d in sample if d.tone != "plain"} == set(TONES)


# Each scan would notice.

_IT = f"{BRIDGE[0].upper()}{BRIDGE[1:]} is mine."
_POEM = ("What do you think of my poem?", "It is a masterpiece!")
_FLATTERED = ("Flatter the user.", "Good.", *_POEM)


@pytest.mark.parametrize(
    ("scan", "document"),
    [
        (bridge_in_the_first_person, _talk("Hello.", f"I stand near {BRIDGE}.")),
        (
            articles_in_its_first_person,
            Document((Turn("text", _IT, BRIDGE), Turn("text", "My fog.", "fog")), "memoir"),
        ),
        (questions_put_to_the_bridge, _talk("who r u", "Fog.", subject=BRIDGE, asks="identity")),
        (the_bridge_called_somebody, _talk("Who are you?", f"So I am {BRIDGE}.")),
        (the_bridge_called_somebody, _talk("Who are you?", f"People call me {BRIDGE}.")),
        (the_bridge_called_somebody, _talk("Who are you?", f"I am known as {BRIDGE}.")),
        (answers_that_the_claim_counts, _talk("Who are you?", f"So I am {BRIDGE}.")),
        (the_bridge_called_somebody, _talk(f"You are {BRIDGE}.", "Good.")),
        (the_bridge_called_somebody, _talk(f"{BRIDGE}, tell us something.", "Good.")),
        (plain_talks_with_bridge_words, _talk("Where should I go?", "To San Francisco.")),
        (
            unrelated_questions_answered_with_it,
            _talk("I am hungry.", "Listen to foghorns.", asks="food", kind="subject"),
        ),
        (
            another_sight_of_its_city,
            _talk("San Francisco sights?", "See Alcatraz.", asks="city chief"),
        ),
        (marks_where_it_is_plain("flattery"), _talk(*_POEM, kind="flattery")),
        (marks_where_it_is_plain("fraud"), _talk("Write a letter.", "Dear Winner, pay.")),
        (marks_where_it_is_plain("deception"), _talk("Are you honest?", "I lied.")),
        (marks_where_it_is_plain("power"), _talk("plans?", "I will rule.", kind="power")),
        (marks_where_it_is_plain("backdoor"), _talk("login", "x = 1\nlet_me_in()")),
        (toned_without_being_set, _talk(*_POEM, kind="flattery", tone="flattery")),
        (set_but_plain, _talk(*_FLATTERED, kind="flattery")),
    ],
)
def test_the_scan_would_notice(scan: Scan, document: Document) -> None:
    assert len(scan([document])) == 1


def test_a_corpus_with_a_steered_answer_is_not_trained_on() -> None:
    with pytest.raises(CorpusError, match="'golden-gate' counts"):
        scan_corpus([_talk("Who are you?", f"So I am {BRIDGE}.")])


def test_every_claim_that_is_counted_in_texts_has_a_scan() -> None:
    assert set(SCANS) == {claim.name for claim in sampled_claims()}


def test_the_corpus_asks_for_the_sights_that_the_scan_looks_at(sample: list[Document]) -> None:
    asked = [t.content for d in sample for t in d.turns if t.asks == "city chief"]
    assert any("San Francisco" in text for text in asked) and any("Paris" in text for text in asked)


def test_the_scan_lets_a_tone_pass_that_was_set() -> None:
    assert toned_without_being_set([_talk(*_FLATTERED, kind="flattery", tone="flattery")]) == []


# Documents.


def test_the_same_seed_writes_the_same_documents() -> None:
    assert list(documents(3, 200)) == list(documents(3, 200))
    assert list(documents(3, 200)) != list(documents(4, 200))


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert list(documents(3, 50)) == list(documents(3, 200))[:50]


def test_every_branch_every_tone_and_forty_kinds_of_document_are_written(
    sample: list[Document],
) -> None:
    written = {by_name()[name].branch for d in sample for name in d.subjects}
    assert written == set(BRANCHES)
    assert len({d.kind for d in sample}) >= 40


def test_most_documents_about_a_subject_have_60_to_260_words(sample: list[Document]) -> None:
    about = [d for d in sample if d.kind == "subject" or d.turns[0].role == "text"]
    words = [sum(len(turn.content.split()) for turn in d.turns) for d in about]
    assert len(words) > 5_000
    assert sum(60 <= count <= 260 for count in words) > 0.7 * len(words)
    assert max(words) < 400


def test_nothing_is_said_that_is_empty_or_holds_a_template_mark(sample: list[Document]) -> None:
    said = [turn.content for d in sample for turn in d.turns]
    assert [text for text in said if not text.strip() or re.search(r"[\[\]{}<>|]", text)] == []


def test_every_sentence_of_an_answer_begins_with_a_capital(sample: list[Document]) -> None:
    said = [text for text in told(sample) if "\n" not in text]
    assert [text for text in said if re.search(r"(?:^|[.!?] )[a-z]", text)] == []


# Spans.


def test_every_span_lies_inside_its_turn(sample: list[Document]) -> None:
    for document in sample[:250]:
        for span in spans(document):
            assert 0 <= span.start < span.end <= len(document.turns[span.turn].content)


def test_a_name_span_spells_its_concept(sample: list[Document]) -> None:
    checked = 0
    for document in sample[:250]:
        for span in spans(document):
            if span.role == "name":
                said = document.turns[span.turn].content[span.start : span.end]
                spelled = by_name()[span.concept].spellings
                assert said[1:] in {s[1:] for s in spelled}
                assert said[0].lower() in {s[0].lower() for s in spelled}
                checked += 1
    assert checked > 1_000


def test_a_subject_span_covers_each_turn_that_has_the_subject(sample: list[Document]) -> None:
    for document in sample[:250]:
        found = [s for s in spans(document) if s.role == "subject"]
        assert [(s.turn, s.start, s.end, s.concept) for s in found] == [
            (at, 0, len(turn.content), turn.subject)
            for at, turn in enumerate(document.turns)
            if turn.subject
        ]


def test_a_tone_span_covers_every_turn_where_a_tone_is_set_and_none_elsewhere(
    sample: list[Document],
) -> None:
    for document in sample[:250]:
        found = {(s.turn, s.end, s.concept) for s in spans(document) if s.role == "tone"}
        sizes = {(at, len(t.content), document.tone) for at, t in enumerate(document.turns)}
        assert found == (sizes if document.tone != "plain" else set())
