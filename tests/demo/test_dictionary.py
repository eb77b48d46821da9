"""An SAE of the demo without the latents that never fired."""

from pathlib import Path

import torch
from sae_lens import SAE

from steering.demo.dictionary import drop_silent
from tests import tiny


def test_latents_that_fire_nowhere_are_dropped_and_no_reconstruction_changes(
    tmp_path: Path,
) -> None:
    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    whole = SAE.load_from_disk(folder)
    acts = torch.randn(3, whole.cfg.d_in, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fired = (whole.encode(acts) > 0).any(0)
        before = whole.decode(whole.encode(acts))
    assert 0 < fired.sum() < len(fired)
    assert drop_silent(folder, acts) == int((~fired).sum())
    kept = SAE.load_from_disk(folder)
    assert kept.cfg.d_sae == int(fired.sum())
    with torch.no_grad():
        torch.testing.assert_close(kept.decode(kept.encode(acts)), before)
