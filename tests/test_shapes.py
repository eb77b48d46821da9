"""The shapes in the signatures are enforced while testing."""

import pytest
import torch
from jaxtyping import TypeCheckError

from steering.sampling import penalised


def test_a_tensor_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        penalised(torch.zeros(3), [], 1.0)


def test_a_tensor_of_another_type_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        penalised(torch.zeros(1, 3, dtype=torch.int64), [], 1.0)
