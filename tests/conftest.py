"""What holds for every test: no network, no telemetry, shapes enforced, the same random numbers."""

import os
from pathlib import Path

# Before any test imports the libraries that read these once, at import.
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="disabled",
)

import pytest

# Before the hook below, which compiles anew whatever its modules are the first to import.
import sae_lens  # noqa: F401
import torch
from jaxtyping import install_import_hook

PACKAGE = Path(__file__).parent.parent / "steering"
SHAPED = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*.py"))
    if "from jaxtyping import" in file.read_text("utf-8")
]
"""Modules whose signatures have shapes. All of ours would be three times as slow: the grammar
calls its small functions by the million, and pyright reads their annotations anyway."""

# Only Self is not enforced: the hook decorates methods one by one, and beartype knows Self in
# decorated classes alone.
install_import_hook(
    SHAPED,
    "beartype.beartype(conf=beartype.BeartypeConf("
    "hint_overrides=beartype.FrozenDict({beartype.typing.Self: object})))",
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from one seed, whichever tests ran before it."""
    torch.manual_seed(0)
