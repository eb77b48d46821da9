"""Where atlases lie: beside an SAE that comes with one, or in a person's own folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from steering.atlas.store import Atlas
from steering.bundle import BUNDLE

if TYPE_CHECKING:
    from steering.sae import Sae

ATLAS_FILE = "atlas.sqlite"
"""Beside an SAE that comes with one."""


def user_folder() -> Path:
    """A person's own atlases, in the platform's data folder."""
    import platformdirs

    return platformdirs.user_data_path("steering-playground") / "atlases"


def own_path(sae: "Sae") -> Path:
    """Where a person's own atlas of an SAE lies."""
    return user_folder() / f"{sae.fingerprint}.sqlite"


def atlas_path(sae: "Sae") -> Path:
    """Where the atlas of an SAE lies: beside it where it came with one, else a person's own."""
    own = own_path(sae)
    beside = sae.folder / ATLAS_FILE if sae.folder is not None else None
    return beside if beside is not None and beside.is_file() and not own.is_file() else own


def bundled_atlas() -> Path | None:
    """The atlas that the bundled SAE comes with, unless a person has one of their own."""
    beside = BUNDLE / "sae" / ATLAS_FILE
    if not beside.is_file():
        return None
    with Atlas.open(beside) as atlas:
        own = user_folder() / f"{atlas.about.fingerprint}.sqlite"
    return own if own.is_file() else beside


def find_atlas(sae: "Sae") -> Atlas | None:
    """The atlas of an SAE where it lies by default, None where there is none.

    Raises:
        AtlasError: There is one that cannot be read.
    """
    path = atlas_path(sae)
    return Atlas.open(path, sae) if path.is_file() else None


def path_to_write(sae: "Sae") -> Path:
    """Where what is found out about an SAE is written: into a copy of the atlas it came with.

    What lies beside an SAE belongs to whoever published it, and the next version replaces it.

    Raises:
        AtlasError: The one it came with cannot be read, or no copy can be written.
    """
    own, beside = own_path(sae), atlas_path(sae)
    if beside != own:
        with Atlas.open(beside, sae) as published:
            published.copy_to(own)
    return own


def own_atlas(sae: "Sae") -> Atlas:
    """A person's own atlas of an SAE, to write into; begun where there is none.

    Raises:
        AtlasError: It cannot be read or written.
    """
    return Atlas.create(path_to_write(sae), sae)
