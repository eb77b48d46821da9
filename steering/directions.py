"""Plain directions: from a file, or seeded at random as the honest control of an edit."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from steering.errors import FeatureError, LoadError
from steering.interventions import Direction


def random_unit(seed: int, width: int) -> Float[Tensor, " d_in"]:
    """A unit vector that depends on the seed alone."""
    vector = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def load_direction(direction: Direction) -> Float[Tensor, " d_in"]:
    """Read a plain direction from its safetensors file, at unit length.

    Raises:
        LoadError: No such file or tensor, or not one vector.
        FeatureError: A vector of length 0, or not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(direction.path).expanduser()
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise LoadError(
            f"Cannot read a direction from {direction.path!r}: {error}. "
            "Give a safetensors file that holds one vector."
        ) from error
    name = direction.tensor or (next(iter(tensors)) if len(tensors) == 1 else None)
    if name is None or name not in tensors:
        raise LoadError(
            f"{direction.path!r} holds the tensors {', '.join(sorted(tensors))}. "
            f"Name one of them with `tensor` ({direction.tensor!r} was asked for)."
        )
    vector = tensors[name].float().squeeze()
    if vector.dim() != 1 or not vector.isfinite().all() or vector.norm() == 0:
        raise FeatureError(
            f"{name!r} in {direction.path!r} has shape {tuple(tensors[name].shape)}; a direction "
            "is one finite vector of the model's width, and not of length 0."
        )
    return vector / vector.norm()
