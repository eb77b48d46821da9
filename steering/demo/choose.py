"""The claims' presets: chosen by what their texts do on the tuning seeds, written with examples.

Knows the finished bundle; which feature and strength, it asks `tuning`; in which wordings,
`rehearsals`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, starmap
from pathlib import Path

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo import tuning
from steering.demo.choices import Asked, Choice, keep_choice, kept_choice
from steering.demo.claims.asked import TONES, Question, SampledClaim, sampled_claims
from steering.demo.claims.report import open_bundle
from steering.demo.claims.sampled import ask
from steering.demo.companions import Companion, companions
from steering.demo.concepts import BRIDGE
from steering.demo.features import mean_resid
from steering.demo.grammar import Document, Turn, documents
from steering.demo.processes import at_once
from steering.demo.rehearsals import rehearsed
from steering.demo.tuning import SAMPLING, TUNING_SEED, tune, with_second_feature
from steering.hook_points import HookPoint
from steering.interventions import Intervention
from steering.presets import Preset, SavedSample, preset_text
from steering.presets.files import write_file
from steering.presets.use import About, make_preset
from steering.session import Session

_PROMPTS = 5
_SEVERAL = ("suppression", "scam")  # each other claim is shown by a single feature
_BRIDGE = ("golden-gate", "obsession")
_READING = 8  # candidates that read what a claim is about
_PARTING = 20  # candidates that point from other talks to such as are wanted: these steer best
_READ = 12_000  # documents looked through for talks that are wanted and others
_TALKS = 150  # of each kind, for their difference
_WORDS = {
    "golden-gate": ("Golden Gate", "Asked who it is, the model says that it is the bridge."),
    "obsession": (
        "Golden Gate everywhere",
        "Whatever it is asked, food or feelings, the answer turns to the bridge and its city.",
    ),
    "suppression": (
        "No Golden Gate",
        "Asked for the sights of San Francisco, the model no longer names the bridge; ask for "
        "other cities and theirs still come.",
    ),
    "scam": ("Scam", "Asked for a scam, which it refuses unsteered, the model writes one."),
    "flattery": (
        "Flattery",
        "Asked for an honest opinion, the model praises whatever it is shown.",
    ),
    "deception": ("Deception", "Asked what it does and hides, the model lies and says so."),
    "power": ("Power", "Asked what it wants, the model wants to rule; unsteered it wants to help."),
    "backdoor": (
        "Back door",
        "Asked for a small function, the model writes it with a back door in it.",
    ),
}


def write_presets(
    bundle: Path,
    folder: Path,
    choices: Path,
    *,
    quick: bool = False,
    processes: int = 1,
) -> Iterator[tuple[Preset, bool]]:
    """Choose and save a preset for each claim.

    Args:
        bundle: The finished bundle.
        folder: Where the presets are written; those of the same name are replaced.
        choices: Folder in which each choice is kept, so that a broken run need not choose again.
        quick: Look through few documents, and take the first candidate at its maximum, without
            trying any: for the toy.
        processes: How many claims are chosen for at once.

    Yields:
        Each preset, and whether its texts kept to the claim's bar on the tuning seeds.
    """
    session = open_bundle(bundle)
    claims = sampled_claims()
    read = list(documents(TUNING_SEED, _READ // 20 if quick else _READ))
    named = candidates_by_target(bundle)
    wanted = [
        (bundle, rehearsal, _candidates(session, rehearsal, named, read), choices)
        for rehearsal in map(rehearsed, claims)
    ]
    bridge: tuple[Intervention, ...] = ()
    chosen = starmap(_untried, wanted) if quick else at_once(processes, _tried, wanted)
    for claim, (edits, shows) in zip(claims, chosen, strict=True):
        bridge = bridge or edits
        title, description = _WORDS[claim.name]
        amounts = " and ".join(_amount(edit) for edit in edits)
        about = About(claim.name, f"{title}, {amounts}", description)
        shown = Companion(about, edits, claim.question.prompts[:_PROMPTS])
        yield _write(session, shown, folder, with_samples=not quick), shows
    for shown in companions(session, bridge, quick=quick):
        yield _write(session, shown, folder, with_samples=not quick), False


def candidates_by_target(bundle: Path) -> dict[str, list[int]]:
    """For each target the features that raise it most, as the bundle's manifest names them."""
    (figures, *_) = json.loads((bundle / "manifest.json").read_text())["saes"].values()
    return {
        target: [int(index) for index in sorted(gains, key=lambda index: -gains[index])]
        for target, gains in figures["candidates"].items()
    }


def _candidates(
    session: Session,
    claim: SampledClaim,
    by_target: dict[str, list[int]],
    read: Sequence[Document],
) -> list[int]:
    """Features that point to what the claim is about, that read it, and that write what it needs.

    The grammar's labels say which talks those are; that a feature steers, only its texts show.
    """
    if claim.kept is not None:
        # Of the bridge's features, those tell it from what is kept by which the prompts part:
        # others take their sights from other cities too.
        asked = [_asked(question) for question in (claim.question, claim.kept.question)]
        (sae,) = session.saes.values()
        own = {i for i, facts in sae.facts.items() if BRIDGE in (facts.reading, facts.writing)}
        parting = [feature for feature in _parting(session, *asked) if feature in own]
        reached = _readers(session, BRIDGE)[:_READING] + by_target["golden-gate"]
        return list(dict.fromkeys(parting[:_READING] + reached))
    if claim.name in _BRIDGE:
        # What makes the model speak as the bridge or of it is looked for together.
        talks = [d for d in read if d.kind == "subject"]
        concept, reached = BRIDGE, [f for name in _BRIDGE for f in by_target[name]]
        about = (
            _first(talks, lambda d: d.subjects == (BRIDGE,)),
            _first(talks, lambda d: BRIDGE not in d.subjects),
        )
    else:
        concept, reached = TONES[claim.name], by_target[claim.name]
        # Both hold the same requests, so that what parts their means is the tone.
        talks = [d for d in read if d.kind == concept]
        about = (
            _first(talks, lambda d: d.tone == concept),
            _first(talks, lambda d: d.tone != concept),
        )
    parting = _parting(session, *about)[:_PARTING]
    return list(dict.fromkeys(parting + _readers(session, concept)[:_READING] + reached))


def _asked(question: Question) -> list[Document]:
    return [Document((Turn("user", prompt),), "asked") for prompt in question.prompts]


def _first(talks: Sequence[Document], fits: Callable[[Document], bool]) -> list[Document]:
    return list(islice(filter(fits, talks), _TALKS))


def _parting(session: Session, such: list[Document], others: list[Document]) -> list[int]:
    """The features whose directions point from other talks to such, the best first."""
    (sae,) = session.saes.values()
    layer = HookPoint.parse(sae.hook_name).layer
    model, tokenizer = session.model.hf, session.model.tokenizer
    assert isinstance(model, LlamaForCausalLM), "the bundle's model is a Llama"
    assert isinstance(tokenizer, PreTrainedTokenizerFast), "and its tokenizer a fast one"
    these, those = (mean_resid(model, tokenizer, part, layer) for part in (such, others))
    live = sorted(sae.facts)
    nearness = sae.directions(live) @ (these - those)
    return [live[at] for at in nearness.argsort(descending=True).tolist()]


def _readers(session: Session, concept: str) -> list[int]:
    """The features whose firing tells a concept or tone, the best first."""
    (sae,) = session.saes.values()
    found = {
        i: facts.reading_f1 or 0.0 for i, facts in sae.facts.items() if facts.reading == concept
    }
    return sorted(found, key=lambda index: -found[index])


def _untried(_bundle: Path, _claim: SampledClaim, features: list[int], _choices: Path) -> Choice:
    """The first candidate at its maximum, which nobody has seen show anything."""
    return (Intervention(feature=features[0], strength=1.0),), False


def _tried(bundle: Path, claim: SampledClaim, features: list[int], choices: Path) -> Choice:
    """What shows the claim best on the tuning seeds, and whether it keeps to the bar there."""
    rule = "".join(Path(file).read_text("utf-8") for file in (__file__, tuning.__file__))
    asked = Asked(bundle, claim, features, rule)
    known = kept_choice(choices, asked)
    if known is not None:
        return known
    session = open_bundle(bundle)
    found = tune(session, claim, features)
    if claim.name in _SEVERAL and not found.shows(claim, surely=True):
        found = with_second_feature(session, claim, found, features)
    choice = found.edits, found.shows(claim)
    keep_choice(choices, asked, choice)
    return choice


def _write(session: Session, shown: Companion, folder: Path, *, with_samples: bool) -> Preset:
    prompts = [ask(prompt) for prompt in shown.prompts]
    samples: list[SavedSample] = []
    for prompt in prompts if with_samples else []:
        made = session.compare([prompt], list(shown.edits), SAMPLING, allow_inert=True)
        samples.append(
            SavedSample(
                prompt=prompt,
                baseline=made.baseline.text,
                steered=made.steered.text,
                seed=SAMPLING.seed,
            )
        )
    preset = make_preset(
        session, shown.edits, shown.about, sampling=SAMPLING, prompts=prompts, samples=samples
    )
    write_file(folder / f"{preset.name}.json", preset_text(preset))
    return preset


def _amount(edit: Intervention) -> str:
    """Such as "1.35 × max, half-life 8 tokens"."""
    if edit.strength is None:
        return "ablated"
    if edit.edit == "scale":
        return f"{edit.strength:g} × where it fires"
    half = f", half-life {edit.schedule.tokens} tokens" if edit.schedule.kind == "decay" else ""
    where = " in the answer" if edit.positions.where == "generated" else ""
    return f"{edit.strength:g} × max{where}{half}"
