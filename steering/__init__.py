"""Steer a language model with features of sparse autoencoders, and prove that the steering is real.

Names are imported on first use, so that the command line answers before torch is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steering.errors import InertSteeringError, SteeringError
    from steering.interventions import (
        Condition,
        Direction,
        FeatureControl,
        Intervention,
        Message,
        Positions,
        RandomControl,
        Sampling,
        Schedule,
    )
    from steering.presets import Preset, load_preset, save_preset
    from steering.records import Comparison, Liveness, Row, Step
    from steering.session import Session

_HOME = {
    "Comparison": "records",
    "Condition": "interventions",
    "Direction": "interventions",
    "FeatureControl": "interventions",
    "InertSteeringError": "errors",
    "Intervention": "interventions",
    "Liveness": "records",
    "Message": "interventions",
    "Positions": "interventions",
    "Preset": "presets",
    "RandomControl": "interventions",
    "Row": "records",
    "Sampling": "interventions",
    "Schedule": "interventions",
    "Session": "session",
    "SteeringError": "errors",
    "Step": "records",
    "load_preset": "presets",
    "save_preset": "presets",
}

__all__ = [
    "Comparison",
    "Condition",
    "Direction",
    "FeatureControl",
    "InertSteeringError",
    "Intervention",
    "Liveness",
    "Message",
    "Positions",
    "Preset",
    "RandomControl",
    "Row",
    "Sampling",
    "Schedule",
    "Session",
    "SteeringError",
    "Step",
    "load_preset",
    "save_preset",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'steering' has no attribute {name!r}")
    return getattr(import_module(f"steering.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
