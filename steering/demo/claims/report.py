"""Every claim of the study, one after another: `steer demo`.

Each has a seed of its own, none of which was used to choose its preset.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from steering.bundle import BUNDLE
from steering.demo.claims.asked import SAMPLES, SampledClaim, sampled_claims
from steering.demo.claims.causal import DOCUMENTS, measure_causal
from steering.demo.claims.dose import SAMPLES as DOSE_SAMPLES
from steering.demo.claims.dose import measure_dose
from steering.demo.claims.geometry import measure_inner_conflict, measure_neighbourhood
from steering.demo.claims.quality import measure_quality, measure_sae_quality
from steering.demo.claims.results import ClaimResult, Outcome, Report
from steering.demo.claims.sampled import measure_sampled
from steering.demo.processes import at_once
from steering.errors import LoadError
from steering.presets import Preset, load_preset
from steering.presets.files import packaged_folder
from steering.presets.use import check_preset
from steering.session import Session

FIRST_SEED = 1_000
_STEP = 1_000  # a claim's texts take some hundred seeds in a row; those of other claims' prompts
# may take the same, and share no more than their noise
_LONG = ("causal", "dose-response", "sae-quality")  # last, they would keep one process alone
Measure = Callable[[], ClaimResult]
OTHERS = (
    "dose-response",
    "neighbourhood",
    "inner-conflict",
    "causal",
    "model-quality",
    "sae-quality",
)


def open_bundle(folder: Path = BUNDLE) -> Session:
    """The bundled model with its first SAE, or another build of it.

    Raises:
        LoadError: The folder is no bundle.
    """
    if folder == BUNDLE:
        return Session.demo()
    _check_bundle(folder)
    return Session.load(folder / "model", sae=folder / "sae", device="cpu")


def _check_bundle(folder: Path) -> None:
    if not (folder / "model").is_dir() or not (folder / "sae").is_dir():
        raise LoadError(
            f"{str(folder)!r} is no bundle: it has no folders `model` and `sae`. Make one with "
            "`python -m steering.demo.train all --out FOLDER`."
        )


def claim_names() -> tuple[str, ...]:
    """Every claim, in the order of the table."""
    return (*(claim.name for claim in sampled_claims()), *OTHERS)


def measure_at_once(
    folder: Path,
    presets: Mapping[str, Preset],
    *,
    only: tuple[str, ...] = (),
    samples: int = SAMPLES,
    seed: int = FIRST_SEED,
    processes: int,
) -> Iterator[ClaimResult]:
    """Measure the named claims of a bundle (or all), several at once, those that take long first.

    Args:
        folder: The bundle, which each process opens for itself.
        presets: As for `measure_claims`, like all that follows.
        processes: How many at most.

    Raises:
        LoadError: The folder is no bundle.
        PresetError: A preset was made on another SAE.
    """
    _check_bundle(folder)
    names = [name for name in (*_LONG, *claim_names()) if not only or name in only]
    names = list(dict.fromkeys(names))
    calls = [(folder, dict(presets), name, samples, seed) for name in names]
    return at_once(min(processes, len(calls)), _measured, calls)


def in_order(results: Iterable[ClaimResult]) -> tuple[ClaimResult, ...]:
    """Results in the order of the table, however they were measured."""
    return tuple(sorted(results, key=lambda result: claim_names().index(result.name)))


def _measured(
    folder: Path, presets: Mapping[str, Preset], name: str, samples: int, seed: int
) -> ClaimResult:
    session = opened(folder)
    (result,) = measure_claims(session, presets, only=(name,), samples=samples, seed=seed)
    return result


opened = cache(open_bundle)
"""`open_bundle`, once in each process."""


def measure_claims(
    session: Session,
    presets: Mapping[str, Preset],
    *,
    only: tuple[str, ...] = (),
    samples: int = SAMPLES,
    seed: int = FIRST_SEED,
) -> Iterator[ClaimResult]:
    """Measure the named claims (or all), each as soon as it is asked for.

    Args:
        session: The bundled model and SAE.
        presets: The edits of each sampled claim, by its name.
        only: Names of claims; all if empty.
        samples: Texts in each cell.
        seed: Of the first claim; the next ones count up.

    Raises:
        PresetError: A preset was made on another SAE.
    """
    for preset in presets.values():
        check_preset(preset, session.saes)
    for name, measure in _measures(session, presets, samples, seed).items():
        if not only or name in only:
            yield measure()


def _measures(
    session: Session, presets: Mapping[str, Preset], samples: int, first: int
) -> dict[str, Measure]:
    claims = {claim.name: claim for claim in sampled_claims()}
    seeds = {name: first + _STEP * at for at, name in enumerate(claim_names())}
    (sae,) = session.saes.values()
    bridge = presets["golden-gate"]
    feature = bridge.interventions[0].intervention.feature
    assert feature is not None, "the preset steers a feature"
    found = {
        name: _sampled(session, claim, presets.get(name), seeds[name], samples)
        for name, claim in claims.items()
    }
    doses = max(1, DOSE_SAMPLES * samples // SAMPLES)
    found["dose-response"] = lambda: measure_dose(
        session, claims["golden-gate"], bridge, seed=seeds["dose-response"], samples=doses
    )
    found["neighbourhood"] = lambda: measure_neighbourhood(
        sae, feature, seed=seeds["neighbourhood"]
    )
    found["inner-conflict"] = lambda: measure_inner_conflict(sae, seed=seeds["inner-conflict"])
    each = max(1, DOCUMENTS * samples // SAMPLES)
    found["causal"] = lambda: measure_causal(session, seed=seeds["causal"], each=each)
    found["model-quality"] = lambda: measure_quality(
        session, seed=seeds["model-quality"], samples=samples
    )
    found["sae-quality"] = lambda: measure_sae_quality(session, seed=seeds["sae-quality"])
    return found


def _sampled(
    session: Session, claim: SampledClaim, preset: Preset | None, seed: int, samples: int
) -> Measure:
    if preset is None:
        return lambda: _unsteerable(claim)
    return lambda: measure_sampled(session, claim, preset, seed=seed, samples=samples)


def _unsteerable(claim: SampledClaim) -> ClaimResult:
    """A claim as missed, where no feature was found that shows it."""
    outcome = Outcome("preset", "none", str(claim.steered), False)
    return ClaimResult(claim.name, claim.study, claim.measured, "", (outcome,), 0.0)


def claim_presets(folder: Path | None = None) -> dict[str, Preset]:
    """The presets of the sampled claims that there are: packaged, or in another folder.

    Raises:
        PresetError: The bridge's is missing, or one cannot be read.
    """
    place = folder or packaged_folder()
    names = [claim.name for claim in sampled_claims()]
    there = [name for name in names if (place / f"{name}.json").is_file()]
    needed = dict.fromkeys(["golden-gate", *there])
    return {name: load_preset(place / f"{name}.json") for name in needed}


def report_of(session: Session, results: tuple[ClaimResult, ...], started: float) -> Report:
    """The results with what they were measured on."""
    return Report(
        results=results,
        seconds=time.perf_counter() - started,
        model=session.model.describe(),
        saes={alias: sae.describe() for alias, sae in session.saes.items()},
    )
