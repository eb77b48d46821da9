"""Running out of memory, in words that say what to shrink."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from steering.errors import OutOfMemoryError


@contextmanager
def explain_memory() -> Iterator[None]:
    """Turn out-of-memory failures of any device into OutOfMemoryError."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_memory_error(error):
            raise
        if isinstance(error, OutOfMemoryError):
            raise
        raise OutOfMemoryError(
            "Out of memory. Use fewer rows at once (variants, prompts, samples), a shorter prompt "
            "or max_new_tokens, dtype='bfloat16', a smaller model, or a device with more memory."
        ) from error


def is_memory_error(error: BaseException) -> bool:
    """Whether a failure is for want of memory, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate" in text
