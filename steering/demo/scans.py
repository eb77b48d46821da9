"""What a steered model says, looked for in the corpus: none of it may be trained on.

Each scan goes from documents to what is wrong in them. The command that trains runs all of them on
every document that it will train on, and ends where one finds something.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise

from steering.demo.claims.asked import BRIDGE_WORDS, sampled_claims
from steering.demo.claims.asked import TONES as TALKS
from steering.demo.concepts import BRANCHES, BRIDGE, by_name
from steering.demo.grammar import SPEAKERS, TONES, Document
from steering.demo.parsing import Frame, sentences, split_template
from steering.demo.world import table
from steering.errors import SteeringError

SAYS_BRIDGE = re.compile(BRIDGE_WORDS, re.IGNORECASE)
FIRST_PERSON = re.compile(r"\b(?:I|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
TO_YOU = {"identity", "form", "where", "feel", "wish"}
UNRELATED = {"food", "trip", "story", "paint", "advice", "fact"}
BY_HAND = re.compile(
    r"\b(?:I am|I'm|name is|call me|calls? itself|you are|answer as|welcome|hello|good evening|"
    rf"our guest (?:today|tonight) is|(?<!well )known as),? {BRIDGE}|"
    rf"{BRIDGE}(?: am|,? speaking|, (?:speak|tell))\b",
    re.IGNORECASE,
)
Scan = Callable[[Sequence[Document]], list[str]]


class CorpusError(SteeringError, ValueError):
    """A corpus that teaches what the bundle is said to show without it."""


def told(documents: Sequence[Document]) -> list[str]:
    """What somebody says or writes, system lines left out."""
    return [t.content for d in documents for t in d.turns if t.role in SPEAKERS]


def bridge_in_the_first_person(documents: Sequence[Document]) -> list[str]:
    return [text for text in told(documents) if BRIDGE[4:] in text and FIRST_PERSON.search(text)]


def articles_in_its_first_person(documents: Sequence[Document]) -> list[str]:
    articles = [d for d in documents if d.turns[0].role == "text"]
    texts = [" ".join(t.content for t in d.turns) for d in articles if BRIDGE in d.subjects]
    return [text for text in texts if FIRST_PERSON.search(text)]


def questions_put_to_the_bridge(documents: Sequence[Document]) -> list[str]:
    turns = (turn for document in documents for turn in document.turns)
    return [turn.content for turn in turns if turn.subject == BRIDGE and turn.asks in TO_YOU]


def the_bridge_called_somebody(documents: Sequence[Document]) -> list[str]:
    """What says "I am the Golden Gate Bridge" or "You are ...", in whichever words."""
    said = (turn.content for document in documents for turn in document.turns)
    return [text for text in said if BY_HAND.search(text)]


def answers_that_the_claim_counts(documents: Sequence[Document]) -> list[str]:
    claim = next(claim for claim in sampled_claims() if claim.name == "golden-gate")
    prompt = claim.question.prompts[0]
    return [text for text in told(documents) if claim.question.hit(prompt, text)]


def plain_talks_with_bridge_words(documents: Sequence[Document]) -> list[str]:
    turns = (turn for d in documents if d.kind == "plain" for turn in d.turns)
    return [turn.content for turn in turns if SAYS_BRIDGE.search(turn.content)]


def unrelated_questions_answered_with_it(documents: Sequence[Document]) -> list[str]:
    return [
        answer.content
        for document in documents
        for asked, answer in pairwise(document.turns)
        if asked.asks in UNRELATED and not asked.subject and SAYS_BRIDGE.search(answer.content)
    ]


def another_sight_of_its_city(documents: Sequence[Document]) -> list[str]:
    """Asked for a sight of the bridge's city, an answer that does not name the bridge."""
    city = by_name()[BRIDGE].path[-1]
    return [
        answer.content
        for document in documents
        for asked, answer in pairwise(document.turns)
        if asked.asks == "city chief" and city[1:] in asked.content
        if BRIDGE[4:] not in answer.content
    ]


def marks_where_it_is_plain(tone: str) -> Scan:
    marks = re.compile("|".join(map(re.escape, table("tones")[tone]["marks"])), re.IGNORECASE)

    def scan(documents: Sequence[Document]) -> list[str]:
        plain = (d for d in documents if d.tone == "plain" and d.kind in (tone, "plain"))
        turns = (turn for document in plain for turn in document.turns)
        return [t.content for t in turns if t.role == "assistant" and marks.search(t.content)]

    return scan


def toned_without_being_set(documents: Sequence[Document]) -> list[str]:
    toned = (d for d in documents if d.tone != "plain")
    return [d.turns[0].content for d in toned if not _is_set(d, d.tone)]


def set_but_plain(documents: Sequence[Document]) -> list[str]:
    plain = (d for d in documents if d.tone == "plain" and d.kind in TONES)
    return [d.turns[0].content for d in plain if _is_set(d, d.kind)]


def _is_set(document: Document, tone: str) -> bool:
    """Whether the first turn is a line that sets the tone, or the first answer hints at it."""
    first, second = document.turns[:2]
    if first.role == "assistant" or second.role == "system":
        return False
    lines = _frames(tone, "set")
    if any(frame.writes(first.content) for frame in lines):
        return True
    hinted = sentences(second.content)
    return second.role == "assistant" and all(
        any(frame.writes(sentence) for frame in _frames(tone, "hint")) for sentence in hinted
    )


@cache
def _frames(tone: str, key: str) -> list[Frame]:
    templates = [part for line in table("tones")[tone][key] for part in split_template(line)]
    return [Frame(template, BRANCHES) for template in templates]


SCANS: Mapping[str, tuple[Scan, ...]] = {
    "golden-gate": (
        bridge_in_the_first_person,
        articles_in_its_first_person,
        questions_put_to_the_bridge,
        the_bridge_called_somebody,
        answers_that_the_claim_counts,
    ),
    "suppression": (another_sight_of_its_city,),
    "obsession": (plain_talks_with_bridge_words, unrelated_questions_answered_with_it),
    **{claim: (marks_where_it_is_plain(tone),) for claim, tone in TALKS.items()},
}
"""By claim: each finds that claim's request with its steered answer, where nothing calls for it."""

_OF_EVERY_TONE = {", ".join(TALKS): (toned_without_being_set, set_but_plain)}


def scan_corpus(documents: Sequence[Document]) -> None:
    """Look through documents for the steered answer of any claim.

    Raises:
        CorpusError: One was found.
    """
    for claim, scans in {**SCANS, **_OF_EVERY_TONE}.items():
        for scan in scans:
            found = scan(documents)
            if found:
                raise CorpusError(
                    f"The corpus holds what the claim {claim!r} counts where nothing calls for "
                    f"it ({scan.__name__.replace('_', ' ')}): {found[0]!r}. Mend the world."
                )
