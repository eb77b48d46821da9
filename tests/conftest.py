"""What holds for every test: no network, no telemetry, the same random numbers."""

import os

# Before any test imports the libraries that read these once, at import.
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="disabled",
)

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from one seed, whichever tests ran before it."""
    torch.manual_seed(0)
