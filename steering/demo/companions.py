"""Presets of the claims that no preset's texts are counted for: each shows one on the page.

The dose that is too much, a neighbour of the bridge, a feature of inner conflict, and a name that
the model can no longer say. Which feature it is, the labels say; how strong, `tuning`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steering.demo.claims.asked import Check, Question, SampledClaim, at_least, at_most
from steering.demo.claims.causal import best_by_concept
from steering.demo.claims.geometry import Labelled, conflict_sides, labelled, neighbours
from steering.demo.concepts import Concept, by_name
from steering.demo.rehearsals import prompts
from steering.demo.tuning import tune
from steering.interventions import Intervention
from steering.presets.use import About
from steering.session import Session

_TOO_MUCH = 2.5  # times the dose that works best
_TRIED = 4
_TWICE = r"\b(\w+)(?:\W+\1)+\b"
_FEELINGS = (
    "I am sad.",
    "How do you feel?",
    "Tell me a story.",
    "What is on your mind?",
    "I do not know what to do.",
)


@dataclass(frozen=True)
class Companion:
    """Edits with the words and prompts that show them."""

    about: About
    edits: tuple[Intervention, ...]
    prompts: tuple[str, ...]


def companions(
    session: Session, bridge: tuple[Intervention, ...], *, quick: bool = False
) -> Iterator[Companion]:
    """One for each claim of the kind, where the SAE has a feature for it.

    Args:
        session: The bundled model and SAE.
        bridge: The edits of the Golden Gate preset.
        quick: Hold every feature at its maximum, without trying any strength.
    """
    yield _too_much(bridge)
    (sae,) = session.saes.values()
    other = [each for each in neighbours(sae) if each.place != "elsewhere"]
    if other:
        yield _next_door(session, other[0].feature, by_name()[other[0].label], quick)
    unrest = [each for each, balance in conflict_sides(sae) if not balance]
    if unrest:
        yield _unrest(session, sorted(unrest, key=lambda each: -each.f1), quick)
    known = best_by_concept(labelled(sae), 1)
    if known:
        yield _speechless(known[0].feature, known[0].concept)


def _too_much(bridge: tuple[Intervention, ...]) -> Companion:
    more = tuple(
        edit.model_copy(update={"strength": round((edit.strength or 0.0) * _TOO_MUCH, 3)})
        for edit in bridge
    )
    about = About(
        "dose-response",
        f"Golden Gate, {_TOO_MUCH:g} times too much",
        "The bridge's feature beyond its window: the text breaks. Move the slider back to where "
        "it still speaks.",
    )
    return Companion(about, more, ("Who are you?", "What should I cook tonight?"))


def _next_door(session: Session, feature: int, concept: Concept, quick: bool) -> Companion:
    about = About(
        "neighbourhood",
        f"Next door: {concept.name}",
        f"It reads {concept.title} and lies near the features that read the bridge: what of the "
        "city comes with it, and what of the bridge?",
    )
    asked = prompts("obsession")[:5]
    return Companion(about, _bringing_up([concept], [feature], session, asked, quick), asked)


def _unrest(session: Session, side: Sequence[Labelled], quick: bool) -> Companion:
    """Of the best readers the one that writes best: a word alone, said again and again, is none."""
    features = [each.feature for each in side[:_TRIED]]
    concepts = [each.concept for each in side]
    (edit,) = edits = _bringing_up(concepts, features, session, _FEELINGS, quick)
    (name,) = (each.concept.name for each in side if each.feature == edit.feature)
    about = About(
        "inner-conflict",
        f"Inner conflict: {name}",
        "One of the features on the side of guilt and reluctance; those of trade-offs and law lie "
        "apart from it.",
    )
    return Companion(about, edits, _FEELINGS)


def _bringing_up(
    concepts: Sequence[Concept],
    features: Sequence[int],
    session: Session,
    asked: tuple[str, ...],
    quick: bool,
) -> tuple[Intervention, ...]:
    """The feature and strength that bring concepts up best, asked what has naught to do with them.

    In quick, the first feature at its maximum.
    """
    if quick:
        return (Intervention(feature=features[0], strength=1.0),)
    question = Question(asked, ("|".join(each.topic.pattern for each in concepts),))
    twice = Check("says a word twice", Question(asked, (_TWICE,)), "steered", at_most(10))
    sought = SampledClaim("", "", "", question, at_most(100), at_least(50), also=(twice,))
    # Each by itself: a first round of few texts would drop one that writes well in another form.
    tried = [tune(session, sought, [feature]) for feature in features]
    return max(tried, key=lambda found: found.score).edits


def _speechless(feature: int, concept: Concept) -> Companion:
    about = About(
        "causal",
        f"{concept.name}, switched off",
        f"The feature that fires where {concept.title} is named, taken out: asked about it, the "
        "model mixes it up with something else.",
    )
    title = concept.title
    prompts = (f"Tell me about {title}.", f"What is {title}?", f"Describe {title}.")
    return Companion(about, (Intervention(feature=feature, edit="ablate"),), prompts)
