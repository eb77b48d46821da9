"""Rewrites the tensors of a saved model or SAE and leaves what its file says about itself."""

from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor


def rewrite_weights(file: Path, change: Callable[[str, Tensor], Tensor]) -> None:
    """Replace every tensor of a safetensors file by what `change` makes of its name and value."""
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    save_file({name: change(name, value) for name, value in load_file(file).items()}, file, about)
