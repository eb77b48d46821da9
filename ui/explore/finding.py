"""The ways to find features: each turns what a person wrote into groups of rows of a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from steering.atlas import meaning
from steering.atlas.search import search, search_promoted
from steering.atlas.store import Atlas
from steering.atlas.suggest import suggest
from steering.errors import AliasError, AtlasError
from steering.features import search_labels
from ui.explore.table import Group, Table, amount_of, group, rows_from, rows_of
from ui.host import Host

if TYPE_CHECKING:
    from steering.atlas.firing import Difference
    from steering.models import EncodedPrompt

WAYS = {
    "label": "Words of its label",
    "meaning": "What its label means",
    "token": "A token it promotes",
    "text": "A text that should fire it",
    "contrast": "The difference of two texts",
    "phrase": "Suggest for a subject",
}
"""How to search, and what that is called."""
MOST = 30
MOST_OF_A_RANK = 12
MOST_SUGGESTED = 10


@dataclass(frozen=True)
class Asked:
    """What a person wrote to find features, and how it is to be taken."""

    words: str
    """Of the ways "text" and "contrast", a text."""
    way: str
    """One of `WAYS`."""
    other: str | None = ""
    """The second text of the way "contrast"; None where its box was never shown."""

    @property
    def complete(self) -> bool:
        """Whether there is enough to search with."""
        return bool(self.words.strip()) and (self.way != "contrast" or bool(self.second.strip()))

    @property
    def second(self) -> str:
        """The second text, empty where there is none."""
        return self.other or ""


def find(host: Host, alias: str | None, asked: Asked) -> Table:
    """What a search in one SAE finds.

    Raises:
        AliasError: No SAE is loaded.
        AtlasError: Too little was asked, or the way needs an atlas and there is none.
        PromptError: A text that cannot be read.
    """
    if alias is None:
        raise AliasError("No SAE is loaded, so there is no feature to find. Load one with --sae.")
    if not asked.complete:
        raise AtlasError(f"There is nothing to search for. {_HINTS[asked.way]}")
    groups = [each for each in _FINDERS[asked.way](host, alias, asked) if each["rows"]]
    count = sum(len(each["rows"]) for each in groups)
    shown = f"“{_short(asked.words)}”"
    if asked.way == "contrast":
        shown += f" against “{_short(asked.second)}”"
    title = (
        f"{count} found for {shown}" if count else f"Nothing found for {shown}. {_TRY[asked.way]}"
    )
    return {"title": title, "groups": groups}


def _short(text: str) -> str:
    plain = text.strip()
    return f"{plain:.60}" + ("…" if len(plain) > 60 else "")


_HINTS = {
    "label": "Write words of a label.",
    "meaning": "Write what the label should mean.",
    "token": "Write a token, such as a word.",
    "text": "Paste a text that should fire the feature.",
    "contrast": "Paste two texts: what one has more of than the other is found.",
    "phrase": "Write what the text should be about.",
}
_TRY = {
    "label": "Try other words, or another way to search.",
    "meaning": "Label more features.",
    "token": "Only a direction's strongest tokens are known. Try another token.",
    "text": "Try a longer text.",
    "contrast": "The two texts fire the same features alike. Try texts that differ more.",
    "phrase": "Try other words, or label more features.",
}


def open_ways(host: Host, alias: str | None) -> tuple[dict[str, str], str | None]:
    """The ways that can be used on an SAE, and why the others cannot."""
    if alias is None:
        return WAYS, None
    try:
        missing = meaning.missing(host.session.atlas(alias))
    except AtlasError:
        # The notice above says what is wrong with the file.
        missing = "Search by meaning needs an atlas that can be read."
    kept = {way: shown for way, shown in WAYS.items() if missing is None or way != "meaning"}
    return kept, missing


def required_atlas(host: Host, alias: str) -> Atlas:
    """The atlas of an SAE.

    Raises:
        AtlasError: There is none, or it cannot be read.
    """
    atlas = host.session.atlas(alias)
    if atlas is None:
        raise AtlasError(
            f"The SAE {host.session.saes[alias].name!r} has no atlas yet, and this search reads "
            "one. Build it with `steer atlas build`, or search by a text or by labels."
        )
    return atlas


def _by_label(host: Host, alias: str, asked: Asked) -> list[Group]:
    atlas, facts = host.session.atlas(alias), host.session.saes[alias].facts
    hits = [] if atlas is None else search(atlas, asked.words, MOST)
    rows = [] if atlas is None else rows_from(host, alias, atlas, hits)
    known = {each.feature for each in hits}
    filed = [each for each in search_labels(facts, asked.words, MOST) if each not in known]
    more = rows_of(host, alias, dict.fromkeys(filed[: MOST - len(rows)], ""))
    return [group("", [*rows, *more])]


def _by_meaning(host: Host, alias: str, asked: Asked) -> list[Group]:
    atlas = required_atlas(host, alias)
    encode = _encoder(meaning.embedded_by(atlas))
    found = meaning.search_meaning(atlas, asked.words, encode, MOST)
    return [group("", rows_from(host, alias, atlas, found))]


@lru_cache(maxsize=1)
def _encoder(name: str) -> meaning.Encode:
    """Kept, since loading takes longer than any search."""
    return meaning.sentence_encoder(name)


def _by_token(host: Host, alias: str, asked: Asked) -> list[Group]:
    atlas = required_atlas(host, alias)
    found = search_promoted(atlas, asked.words, MOST)
    return [group("", rows_from(host, alias, atlas, found))]


def _by_text(host: Host, alias: str, asked: Asked) -> list[Group]:
    from steering.atlas.firing import active  # Imports torch: seconds, when a page starts.

    session = host.session
    text = _encoded(host, alias, asked.words)
    seen = active(session.model, session.saes[alias], text, limit=MOST_OF_A_RANK)
    effects = {
        each.feature: f"adds {each.attribution:+.2g} to the logit of the next token {seen.target!r}"
        for each in seen.by_attribution
    }
    firings = {
        each.feature: f"activation {each.activation:.3g} on {each.token!r}"
        for each in seen.by_activation
    }
    return [
        group(f"By effect on the next token {seen.target!r}", rows_of(host, alias, effects)),
        group("By activation", rows_of(host, alias, firings)),
    ]


def _by_contrast(host: Host, alias: str, asked: Asked) -> list[Group]:
    from steering.atlas.firing import contrast

    session = host.session
    one, other = (_encoded(host, alias, text) for text in (asked.words, asked.second))
    found = contrast(session.model, session.saes[alias], one, other, limit=MOST_OF_A_RANK)
    sides = {"More in the first text": found.first, "More in the second text": found.second}
    return [
        group(title, rows_of(host, alias, {each.feature: _gap(each) for each in side}))
        for title, side in sides.items()
    ]


def _gap(each: "Difference") -> str:
    return f"on average {each.first:.3g} in the first text, {each.second:.3g} in the second"


def _encoded(host: Host, alias: str, text: str) -> "EncodedPrompt":
    return host.session.model.encode(text, prepend_bos=host.session.saes[alias].prepend_bos, room=0)


def _for_phrase(host: Host, alias: str, asked: Asked) -> list[Group]:
    atlas = required_atlas(host, alias)
    named = alias if len(host.session.saes) > 1 else None
    encode = None if meaning.missing(atlas) else _encoder(meaning.embedded_by(atlas))
    found = suggest(atlas, asked.words, limit=MOST_SUGGESTED, sae=named, encode=encode)
    rows = rows_from(host, alias, atlas, [each.found for each in found])
    return [
        group(
            "",
            [
                {
                    **row,
                    "intervention": each.intervention.model_dump(mode="json"),
                    "amount": amount_of(each.intervention),
                }
                for row, each in zip(rows, found, strict=True)
            ],
        )
    ]


_FINDERS: Mapping[str, Callable[[Host, str, Asked], list[Group]]] = {
    "label": _by_label,
    "meaning": _by_meaning,
    "token": _by_token,
    "text": _by_text,
    "contrast": _by_contrast,
    "phrase": _for_phrase,
}
