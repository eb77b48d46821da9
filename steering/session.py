"""The only state: one model, its SAEs by alias, one lock.

Resolves what a person asked into numbers, runs the decode, and reads the record off it. Arithmetic,
positions and sampling are elsewhere.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steering import reading
from steering.atlas.cards import known_max
from steering.atlas.geometry import nearest, unit_rows
from steering.atlas.known import describe
from steering.atlas.labels import set_label, words_of
from steering.atlas.map import name_clusters
from steering.atlas.places import atlas_path, find_atlas, own_atlas
from steering.atlas.rings import Neighbour
from steering.atlas.search import Found
from steering.atlas.search import search as search_atlas
from steering.atlas.store import Atlas
from steering.bundle import BUNDLE
from steering.calibration import PACKAGED, Calibration, calibrate
from steering.errors import AliasError, AtlasError, LoadError, PromptError, StrengthError
from steering.features import search_labels
from steering.generation import Decoder, start_rows
from steering.hook_points import HookPoint
from steering.interventions import UNITLESS, UNITS, Intervention, Resolved, Sampling, Unit
from steering.memory import explain_memory
from steering.models import EncodedPrompt, LanguageModel
from steering.pairing import pairing_warnings, require_fit, same_model
from steering.planner import build_plan
from steering.reading import Firing, Reading, Trace
from steering.records import BASELINE, Comparison, Row
from steering.requests import (
    ONLY,
    Prompt,
    RowRequest,
    Variants,
    named_variants,
    one_prompt,
    require_distinct,
    several_prompts,
)
from steering.sae import Sae
from steering.stream import Stream

SaeSource = str | Path | tuple[str, str]
Read = TypeVar("Read", Trace, Firing)


class Session:
    """One model with its SAEs, ready to steer."""

    def __init__(self, model: LanguageModel, saes: Mapping[str, Sae]) -> None:
        """Put a model and SAEs together.

        Raises:
            HookNameError: The model lacks an SAE's hook.
            UnsupportedSaeError: An SAE's width is not the model's.
        """
        self.model = model
        self.saes = dict(saes)
        self._lock = model.lock
        self._calibrations: dict[tuple[HookPoint, Path], Calibration] = {}
        self._atlases: dict[str, Atlas] = {}
        self._unit_rows: dict[str, Float[Tensor, "feature d_in"]] = {}
        self._making_rows = threading.Lock()
        for sae in self.saes.values():
            require_fit(model, sae)
        self.warnings = tuple(
            warning
            for sae in self.saes.values()
            for warning in pairing_warnings(model, sae, lambda sae=sae: self.calibration(sae))
        )

    @classmethod
    def demo(cls) -> Self:
        """The bundled model and SAE: no network, no key."""
        sae = Sae.load(BUNDLE / "sae")
        sae.name = "bundled-sae"
        model = LanguageModel.load(str(BUNDLE / "model"), device="cpu")
        model.name = sae.model_name or "bundled-model"
        return cls(model, {ONLY: sae})

    @classmethod
    def load(
        cls,
        model: str | Path | PreTrainedModel,
        sae: SaeSource | Mapping[str, SaeSource],
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> Self:
        """Load any Hugging Face model with SAEs that SAELens can load.

        Args:
            model: A hub id, a folder, or a model that you loaded (quantised, say); then give its
                tokenizer too. It is not modified.
            sae: `(release, sae_id)`, a folder, or several of them by alias.
            tokenizer: Only with a loaded model.
            device: Such as "cuda"; the GPU where there is one.
            device_map: As transformers takes it, instead of `device`.
            dtype: Of the model's weights, float32 unless given; SAEs stay in float32.

        Raises:
            LoadError: Something is not there, or cannot be read.
            HubError: The hub refused or is out of reach.
        """
        sources = sae if isinstance(sae, Mapping) else {ONLY: sae}
        with explain_memory():
            saes = {alias: Sae.load(source) for alias, source in sources.items()}
            if isinstance(model, str | Path):
                placed: dict[str, Any] = {"device": device, "device_map": device_map}
                placed["dtype"] = dtype or torch.float32
                return cls(LanguageModel.load(str(model), **placed), saes)
            if tokenizer is None:
                raise LoadError("A loaded model comes without its tokenizer. Give tokenizer=…")
            if device or device_map or dtype:
                raise LoadError(
                    "A loaded model stays where it is and as it is. Leave device, device_map and "
                    "dtype out, or move the model before."
                )
            return cls(LanguageModel.wrap(model, tokenizer), saes)

    def compare(
        self,
        prompt: Prompt | Sequence[Prompt],
        interventions: Variants,
        sampling: Sampling | None = None,
        *,
        samples: int = 1,
        allow_inert: bool = False,
    ) -> Comparison:
        """Write the unsteered text and every steered one in one batched decode.

        Args:
            prompt: A text, chat messages, or a list of those.
            interventions: A list, or several lists by name.
            sampling: Shared by every row.
            samples: Repeats, each with its own seed, counted up from `sampling.seed`.
            allow_inert: Turn InertSteeringError into a warning in the record.

        Raises:
            InertSteeringError: An edit had to act and did not.
            SteeringError: Anything else that cannot be done as asked.
        """
        stream = self.stream(
            prompt, interventions, sampling, samples=samples, allow_inert=allow_inert
        )
        return stream.finish()

    def generate(
        self,
        prompt: Prompt,
        interventions: Sequence[Intervention],
        sampling: Sampling | None = None,
        *,
        allow_inert: bool = False,
    ) -> Row:
        """Write the steered text alone: no baseline row is paid for.

        Raises:
            InertSteeringError: An edit had to act and changed no token.
        """
        stream = self.stream(
            prompt, interventions, sampling, baseline=False, allow_inert=allow_inert
        )
        return stream.finish().rows[0]

    def stream(
        self,
        prompt: Prompt | Sequence[Prompt],
        interventions: Variants,
        sampling: Sampling | None = None,
        *,
        samples: int = 1,
        baseline: bool = True,
        allow_inert: bool = False,
    ) -> Stream:
        """The same as `compare`, step by step: every row advances together.

        Closing the stream, or leaving its `with` block, ends the decode; no hook outlives a step.
        """
        if samples < 1:
            raise PromptError(f"{samples} samples were asked for. Ask for at least 1.")
        sampling = sampling or Sampling()
        unsteered: dict[str, Sequence[Intervention]] = {BASELINE: ()} if baseline else {}
        variants = unsteered | named_variants(interventions)
        asked = [
            (RowRequest(name, each, items), sampling.seed + sample)
            for each in several_prompts(prompt)
            for sample in range(samples)
            for name, items in variants.items()
        ]
        return self._stream(asked, sampling, allow_inert=allow_inert)

    def stream_rows(
        self,
        rows: Sequence[RowRequest],
        sampling: Sampling | None = None,
        *,
        allow_inert: bool = False,
    ) -> Stream:
        """One batched decode in which each row has its own prompt; all share the sampling's seed
        but those that bring one.

        The row named "baseline" is the pair of every other row whose prompt has the same tokens;
        a row with another prompt has none, so nothing is said of a difference from it.

        Raises:
            PromptError: There is no row, or a prompt that cannot be written on.
            AliasError: Two rows with one name.
        """
        require_distinct(rows)
        sampling = sampling or Sampling()
        asked = [(row, sampling.seed if row.seed is None else row.seed) for row in rows]
        return self._stream(asked, sampling, allow_inert=allow_inert)

    def _stream(
        self, asked: Sequence[tuple[RowRequest, int]], sampling: Sampling, *, allow_inert: bool
    ) -> Stream:
        """A decode of rows with a seed each; equal interventions and prompts are read once."""
        items = dict.fromkeys(item for row, _ in asked for item in row.interventions)
        resolved = {item: self.resolve(item) for item in items}
        prompts = [one_prompt(row.prompt) for row, _ in asked]
        encoded = {prompt: self._encode(prompt) for prompt in dict.fromkeys(prompts)}
        rows = start_rows(
            [(row.name, encoded[p], seed) for (row, seed), p in zip(asked, prompts, strict=True)]
        )
        plan_rows = [tuple(resolved[item] for item in row.interventions) for row, _ in asked]
        with explain_memory():
            plan = build_plan(plan_rows, self.saes, lambda point: self.model.site(point).device)
        return Stream(
            Decoder(self.model, plan, sampling),
            list(zip(prompts, rows, strict=True)),
            plan_rows,
            about=self._about(),
            warnings=self.warnings,
            lock=self._lock,
            allow_inert=allow_inert,
        )

    def read(self, prompt: Prompt, features: Sequence[tuple[str | None, int]]) -> Reading:
        """What features, given by alias and index, read on each token of an unsteered text.

        Raises:
            AliasError: Which SAE is meant is not clear.
            FeatureError: An SAE has no such feature.
            PromptError: The text is empty, or longer than the model's context.
        """
        asked = [(self._alias(alias), feature) for alias, feature in features]
        text = self._encode(prompt, room=0)
        with self._lock, explain_memory():
            found = reading.read(self.model, self.saes, text, asked)
        return replace(found, traces=tuple(self._with_max(each) for each in found.traces))

    def strongest(self, prompt: Prompt, position: int, count: int = 10) -> tuple[Firing, ...]:
        """The features of all SAEs that fire most on one token of an unsteered text.

        Raises:
            PromptError: The text has no such position, or cannot be read.
        """
        text = self._encode(prompt, room=0)
        with self._lock, explain_memory():
            found = reading.strongest(self.model, self.saes, text, position, count)
        return tuple(self._with_max(each) for each in found)

    def _with_max(self, read: Read) -> Read:
        """What was read of a feature, with the maximum that the rack would give it."""
        asked = Intervention(feature=read.feature, sae=read.sae, strength=1.0)
        with suppress(AtlasError):  # whoever asks for the atlas is told what is wrong with it
            known = self.known_max_act(asked, read.sae)
            return read if known is None else replace(read, max_act=known[0])
        return read

    def search(self, words: str, limit: int = 20) -> list[tuple[str, int]]:
        """Features of all SAEs by the words of their labels, the best first: alias and index.

        Those that an atlas knows, a person's own labels among them, come before those that only a
        features file names.
        """
        by_sae: list[list[tuple[str, int]]] = []
        for alias in self.saes if words_of(words) else ():
            atlas = self.atlas(alias)
            hits = search_atlas(atlas, words, limit) if atlas is not None else []
            by_sae.append([(alias, hit.feature) for hit in hits])
        # The first of each, then the second: one SAE with many does not hide another's.
        found = [hit for place in zip_longest(*by_sae) for hit in place if hit is not None]
        facts = {(a, i): known for a, sae in self.saes.items() for i, known in sae.facts.items()}
        found += search_labels(facts, words, limit)
        return list(dict.fromkeys(found))[:limit]

    def atlas(self, alias: str | None = None) -> Atlas | None:
        """The atlas of an SAE, where one lies in its place.

        Raises:
            AliasError: Which SAE is meant is not clear.
            AtlasError: There is one that cannot be read.
        """
        name = self._alias(alias)
        known = self._atlases.get(name)
        # Another program may have begun a person's own meanwhile.
        if known is None or known.path != atlas_path(self.saes[name]):
            known = find_atlas(self.saes[name])
            if known is not None:
                self._atlases[name] = known
        return known

    def describe(self, alias: str | None, features: Sequence[int]) -> list[Found]:
        """Label, density, maximum and steerability of some features, as far as they are known.

        Raises:
            AliasError: Which SAE is meant is not clear.
            AtlasError: There is an atlas that cannot be read.
            FeatureError: The SAE has no such feature.
        """
        name = self._alias(alias)
        return describe(self.saes[name], self.atlas(name), features)

    def label(self, feature: int, text: str, sae: str | None = None) -> None:
        """Give a feature a label of a person's own, in an atlas of their own.

        Args:
            feature: Its index.
            text: The label; an empty one takes theirs away.
            sae: The alias, where several SAEs are loaded.

        Raises:
            FeatureError: The SAE has no such feature.
            AtlasError: The atlas cannot be written.
        """
        alias = self._alias(sae)
        self.saes[alias].require(feature)
        own = own_atlas(self.saes[alias])
        set_label(own, feature, text)
        name_clusters(own)
        self._atlases[alias] = own

    def neighbours(
        self, feature: int, sae: str | None = None, count: int = 50
    ) -> tuple[Neighbour, ...]:
        """The features whose decoder directions are nearest, exactly.

        Raises:
            FeatureError: The SAE has no such feature.
        """
        alias = self._alias(sae)
        self.saes[alias].require(feature)
        with explain_memory():
            with self._making_rows:  # a wide SAE's take gigabytes: once
                if alias not in self._unit_rows:
                    self._unit_rows[alias] = unit_rows(self.saes[alias])
            return nearest(self._unit_rows[alias], feature, count)

    @property
    def prepend_bos(self) -> bool:
        """Whether prompts begin with BOS, as the SAEs were trained."""
        return any(sae.prepend_bos for sae in self.saes.values())

    def _encode(self, prompt: Prompt, *, room: int = 1) -> EncodedPrompt:
        return self.model.encode(one_prompt(prompt), prepend_bos=self.prepend_bos, room=room)

    def resolve(self, intervention: Intervention) -> Resolved:
        """Turn strength and unit into the raw coefficient, with everything it rests on.

        Raises:
            AliasError: Which SAE is meant is not clear.
            FeatureError: The SAE has no such feature.
            StrengthError: The unit needs a maximum that is not known.
        """
        if intervention.direction is not None:
            alias, point = None, HookPoint.parse(intervention.direction.hook_name)
            self.model.site(point)
        else:
            alias = self._alias(intervention.sae)
            assert intervention.feature is not None, "an intervention has a feature or a direction"
            self.saes[alias].require(intervention.feature)
            point = HookPoint.parse(self.saes[alias].hook_name)
        resolved = self._resolved(intervention, alias, point)
        if intervention.condition is None:
            return resolved
        watched = self._alias(intervention.condition.sae or alias)
        self.saes[watched].require(intervention.condition.feature)
        return resolved.model_copy(update={"condition_sae": watched})

    def _resolved(
        self, intervention: Intervention, alias: str | None, point: HookPoint
    ) -> Resolved:
        unit, strength = intervention.unit, intervention.strength
        sae = self.saes[alias] if alias else None
        facts: dict[str, Any] = {}
        if unit == "norm":
            facts["median_norm"] = self.calibration(sae or point).median_norm(sae)
        # A unit that needs no maximum asks for none that is not at hand.
        asked = self.max_act if unit == "max_act" else self._max_at_hand
        known = asked(intervention, alias)
        if known is not None:
            facts["max_act"], facts["max_act_source"] = known
        raw = None
        if unit is not None and strength is not None and unit not in UNITLESS:
            per_unit = {"max_act": "max_act", "norm": "median_norm"}.get(unit)
            raw = strength * (facts[per_unit] if per_unit else 1.0)
            if not math.isfinite(raw):
                raise StrengthError(
                    f"{intervention.label()} comes to {raw}. Use a smaller strength."
                )
        return Resolved(
            intervention=intervention, sae=alias, hook_name=point.name, raw=raw, **facts
        )

    def max_act(self, intervention: Intervention, alias: str | None) -> tuple[float, str]:
        """The feature's maximum and where it comes from; estimated here where nobody knows it.

        Raises:
            AtlasError: The SAE's atlas cannot be read.
            StrengthError: A plain direction has none.
        """
        known = self.known_max_act(intervention, alias)
        if known is not None:
            return known
        if alias is None or intervention.feature is None:
            raise StrengthError(
                "A plain direction has no maximum. Use unit 'norm' or 'raw', or give max_act."
            )
        calibration = self.calibration(self.saes[alias])
        value, fired = calibration.estimate_max_act(self.saes[alias], intervention.feature)
        return value, f"estimate: fired on {fired} of {calibration.tokens} calibration tokens"

    def known_max_act(
        self, intervention: Intervention, alias: str | None
    ) -> tuple[float, str] | None:
        """The maximum that was given or measured, and where it comes from; no text is run.

        Raises:
            AtlasError: The SAE's atlas cannot be read.
        """
        at_hand = self._max_at_hand(intervention, alias)
        if at_hand is not None or alias is None or intervention.feature is None:
            return at_hand
        atlas = self.atlas(alias)
        measured = known_max(atlas, intervention.feature) if atlas is not None else None
        return None if measured is None else (measured, "atlas")

    def _max_at_hand(
        self, intervention: Intervention, alias: str | None
    ) -> tuple[float, str] | None:
        """The maximum that was given, or that came with the SAE: no file is opened."""
        if intervention.max_act is not None:
            source = intervention.max_act_source or "given with the intervention"
            return intervention.max_act, source
        if alias is None or intervention.feature is None:
            return None
        facts = self.saes[alias].facts.get(intervention.feature)
        if facts is None or facts.max_act <= 0:
            return None
        return facts.max_act, "features file"

    def convert(
        self, strength: float, unit: Unit, to: Unit, *, feature: int, sae: str | None = None
    ) -> float:
        """The same strength of a feature in another unit.

        Raises:
            FeatureError: The SAE has no such feature.
            StrengthError: No such unit, or one that needs a maximum that is not known.
        """
        self.saes[self._alias(sae)].require(feature)
        _require_unit(unit)
        if not math.isfinite(strength):
            raise StrengthError(f"The strength is {strength}. Give a finite number.")
        asked = Intervention(feature=feature, sae=sae, strength=strength, unit=unit)
        converted = self.in_unit(asked, to).strength
        assert converted is not None, "clamp has a strength"
        return converted

    def in_unit(self, intervention: Intervention, unit: Unit) -> Intervention:
        """The same intervention with its strength in another unit: the raw coefficient stays.

        Raises:
            StrengthError: No such unit, one that needs a maximum that is not known, or an edit
                that carries none.
        """
        _require_unit(unit)
        raw = self.resolve(intervention).raw
        if raw is None:
            raise StrengthError(
                f"{intervention.label()} carries no unit, so it cannot be put in {unit!r}. "
                "Choose add, clamp, floor or cap."
            )
        if unit == intervention.unit:
            return intervention
        one = self.resolve(intervention.model_copy(update={"strength": 1.0, "unit": unit})).raw
        assert one is not None, "an edit with one unit has every unit"
        return intervention.model_copy(update={"strength": raw / one, "unit": unit})

    def calibration(self, at: Sae | HookPoint) -> Calibration:
        """The stream over the calibration text at an SAE's hook, run once and kept."""
        text = (at.calibration_text if isinstance(at, Sae) else None) or PACKAGED
        point = HookPoint.parse(at.hook_name) if isinstance(at, Sae) else at
        with self._lock, explain_memory():
            if (point, text) not in self._calibrations:
                found = calibrate(self.model, [point], prepend_bos=self.prepend_bos, text=text)
                self._calibrations[point, text] = found[point]
            return self._calibrations[point, text]

    def alias_of(self, neuronpedia_id: str) -> str:
        """The loaded SAE that a Neuronpedia address names, such as `gpt2-small/8-res-jb`.

        Raises:
            AliasError: None of them is that one.
        """
        addresses = {alias: sae.neuronpedia_id for alias, sae in self.saes.items()}
        for alias, address in addresses.items():
            if address == neuronpedia_id:
                return alias
        # An SAE from a folder may not know its own address; it is taken where its model fits.
        model = neuronpedia_id.partition("/")[0]
        for alias, sae in self.saes.items() if len(self.saes) == 1 else ():
            trained_on = sae.model_name or model
            if sae.neuronpedia_id is None and same_model(trained_on, model):
                return alias
        loaded = ", ".join(f"{alias} ({address})" for alias, address in addresses.items()) or "none"
        raise AliasError(
            f"The address names a feature of {neuronpedia_id!r}; loaded are {loaded}. "
            "Load that SAE with --sae, or give the feature by its number."
        )

    def _alias(self, asked: str | None) -> str:
        """The alias meant; with one SAE loaded it may be left out."""
        loaded = ", ".join(self.saes) or "none"
        if asked is None and len(self.saes) == 1:
            return next(iter(self.saes))
        if asked is None:
            raise AliasError(
                f"Several SAEs are loaded ({loaded}). Say which one with sae='alias'."
                if self.saes
                else "No SAE is loaded, so no feature can be steered. Load one with sae=…"
            )
        if asked not in self.saes:
            raise AliasError(
                f"No SAE is loaded as {asked!r}; loaded are {loaded}. Use one of them."
            )
        return asked

    def _about(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """What a record says of the model and the SAEs."""
        return self.model.describe(), {alias: sae.describe() for alias, sae in self.saes.items()}


def _require_unit(unit: str) -> None:
    if unit not in UNITS:
        raise StrengthError(f"There is no unit {unit!r}. Units are {', '.join(UNITS)}.")
