"""Where SAEs come from: SAELens's registry, or a folder that it can read.

Always in float32 on the CPU, whatever the file holds, so that a fingerprint does not depend on it.
"""

import difflib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sae_lens import SAE
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

from steering.errors import LoadError, UnsupportedSaeError
from steering.hub import explain_hub_failure


@contextmanager
def _processing_decided_elsewhere() -> Iterator[None]:
    """SAELens warns of other model processing; `steering.sae` honours or refuses it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*This SAE has non-empty model_from_pre")
        yield


def from_registry(release: str, sae_id: str) -> SAE[Any]:
    """Load by release and id, as SAELens names them.

    Raises:
        LoadError: No such release or id.
        HubError: The hub refused or is out of reach.
    """
    known = get_pretrained_saes_directory()
    if release not in known and "/" not in release:
        close = _closest(release, known)
        raise LoadError(f"There is no SAE release {release!r} in SAELens's registry. {close}")
    if release in known and sae_id not in known[release].saes_map:
        close = _closest(sae_id, known[release].saes_map)
        raise LoadError(f"There is no SAE {sae_id!r} in release {release!r}. {close}")
    with (
        explain_hub_failure(f"SAE {release}/{sae_id}", local=False),
        _processing_decided_elsewhere(),
    ):
        return SAE.from_pretrained(release, sae_id, device="cpu", dtype="float32")


def _closest(asked: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(asked, list(known), n=4, cutoff=0.3) or list(known)[:4]
    return f"Close to it are {', '.join(close)}; it holds {len(known)} in all."


def from_folder(folder: Path) -> SAE[Any]:
    """Load from a folder that SAELens's save_model() wrote.

    Raises:
        LoadError: No such folder, or its files cannot be read.
        UnsupportedSaeError: It holds a training SAE.
    """
    if not (folder / "cfg.json").is_file():
        there = "is no such folder" if not folder.is_dir() else "is no cfg.json in it"
        raise LoadError(
            f"Cannot load an SAE from {str(folder)!r}: there {there}. Give a folder written by "
            "SAELens's save_model(), or a release and id as (release, sae_id)."
        )
    with (
        explain_hub_failure(f"the SAE in {str(folder)!r}", local=True),
        _processing_decided_elsewhere(),
    ):
        architecture = json.loads((folder / "cfg.json").read_text()).get("architecture", "standard")
        if architecture in ("batchtopk", "matryoshka_batchtopk"):
            raise UnsupportedSaeError(
                f"The folder {str(folder)!r} holds a training SAE ({architecture}). Save it with "
                "save_inference_model(), which fixes its threshold."
            )
        return SAE.load_from_disk(folder, device="cpu", dtype="float32")
