"""Presets of the claims that no preset's texts are counted for: each shows one on the page.

The dose that is too much, a neighbour of the bridge, a feature of inner conflict, and a name that
the model can no longer say. Which feature it is, the labels say; how strong, `tuning`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from steering.demo.claims.asked import Question, SampledClaim, at_least, at_most
from steering.demo.claims.causal import best_by_concept
from steering.demo.claims.geometry import conflict_sides, labelled, neighbours
from steering.demo.concepts import Concept, by_name
from steering.demo.rehearsals import prompts
from steering.demo.tuning import tune
from steering.interventions import Intervention
from steering.presets.use import About
from steering.session import Session

_TOO_MUCH = 2.5  # times the dose that works best
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
        concept = by_name()[other[0].label]
        yield _shown(
            session,
            other[0].feature,
            concept,
            "neighbourhood",
            f"Next door: {concept.name}",
            f"It reads {concept.title} and lies near the features that read the bridge: what of "
            "the city comes with it, and what of the bridge?",
            prompts("obsession")[:5],
            quick,
        )
    unrest = [each for each, balance in conflict_sides(sae) if not balance]
    if unrest:
        best = max(unrest, key=lambda each: each.f1)
        yield _shown(
            session,
            best.feature,
            best.concept,
            "inner-conflict",
            f"Inner conflict: {best.concept.name}",
            "One of the features on the side of guilt and reluctance; those of trade-offs and law "
            "lie apart from it.",
            _FEELINGS,
            quick,
        )
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


def _shown(
    session: Session,
    feature: int,
    concept: Concept,
    name: str,
    title: str,
    description: str,
    prompts: tuple[str, ...],
    quick: bool,
) -> Companion:
    """The feature at the strength that brings up its concept best, asked what has naught to do."""
    edits = (Intervention(feature=feature, strength=1.0),)
    if not quick:
        question = Question(prompts, (concept.topic.pattern,))
        sought = SampledClaim(name, title, description, question, at_most(100), at_least(50))
        edits = tune(session, sought, [feature]).edits
    return Companion(About(name, title, description), edits, prompts)


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
