"""Everything this package raises on purpose.

SteeringError
├── LoadError             weights, a tokenizer or an SAE could not be found, reached or read
│   └── HubError          the Hugging Face hub refused, has no such thing, or is out of reach
├── UnsupportedSaeError   an SAE whose edits would not be exact here, refused by name
├── HookNameError         a hook name is malformed, or names no place in this model
├── FeatureError          a feature index does not exist in the SAE
├── AliasError            an SAE alias is unknown, missing where several are loaded, or taken twice
├── StrengthError         a strength, unit or maximum that cannot be resolved to a number
├── ConflictError         two interventions that set one feature at one position
├── PromptError           a prompt that is empty, too long, or not of a known form
├── PresetError           a preset file cannot be read, is newer, or belongs to another SAE
├── AtlasError            an atlas cannot be read, built or searched, or belongs to another SAE
├── InertSteeringError    an edit had to act and did not
└── OutOfMemoryError      the machine has too little memory for what was asked

Catch SteeringError at the border (the command line and the page do); anything else is a bug.
"""

from typing import Any


class SteeringError(Exception):
    """Base class: the message is written for the person at the keyboard."""


class LoadError(SteeringError, OSError):
    """Weights, a tokenizer or an SAE could not be found, reached or read."""


class HubError(LoadError):
    """The Hugging Face hub refused, has no such thing, or is out of reach."""


class UnsupportedSaeError(SteeringError, ValueError):
    """An SAE whose edits would not be exact here, refused by name."""


class HookNameError(SteeringError, ValueError):
    """A hook name is malformed, or names no place in this model."""


class FeatureError(SteeringError, IndexError):
    """A feature index does not exist in the SAE."""


class AliasError(SteeringError, ValueError):
    """An SAE alias is unknown, missing where several are loaded, or taken twice."""


class StrengthError(SteeringError, ValueError):
    """A strength, unit or maximum that cannot be resolved to a number."""


class ConflictError(SteeringError, ValueError):
    """Two interventions that set one feature at one position."""


class PromptError(SteeringError, ValueError):
    """A prompt that is empty, too long, or not of a known form."""


class PresetError(SteeringError, ValueError):
    """A preset file cannot be read, is newer, or belongs to another SAE."""


class AtlasError(SteeringError, ValueError):
    """An atlas cannot be read, built or searched, or belongs to another SAE."""


class InertSteeringError(SteeringError, RuntimeError):
    """An edit had to act and did not.

    Attributes:
        comparison: The `Comparison` that was written all the same, so that nothing is lost.
    """

    def __init__(self, message: str, comparison: Any = None) -> None:
        super().__init__(message)
        self.comparison = comparison


class OutOfMemoryError(SteeringError, MemoryError):
    """The machine has too little memory for what was asked."""
