"""Which atlas and which SAE the flags of `steer atlas` and `steer features` mean."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from steering.cli.load import Place, choose_source, load_session
from steering.errors import AliasError

if TYPE_CHECKING:
    from steering.atlas.store import Atlas
    from steering.sae import Sae
    from steering.session import Session


def open_session(place: Place) -> "Session":
    """Load the model and its SAEs."""
    return load_session(choose_source(place), place)


def open_pair(
    model: str | None, saes: Sequence[str] | None, device: str | None, dtype: str | None
) -> "tuple[Session, Sae]":
    """Load the model and its one SAE, as the flags say.

    Raises:
        AliasError: Several SAEs are given.
    """
    session = open_session(Place(model, tuple(saes or ()), device, dtype))
    if len(session.saes) != 1:
        given = ", ".join(session.saes)
        raise AliasError(f"Several SAEs are given ({given}), and this is about one. Give one.")
    return session, next(iter(session.saes.values()))


def load_sae(saes: Sequence[str] | None) -> "Sae":
    """Load the one SAE that is meant, without its model.

    Raises:
        AliasError: Several are given.
    """
    import sys
    from contextlib import redirect_stdout

    from steering.bundle import BUNDLE
    from steering.cli.parse import parse_sae

    if saes and len(saes) > 1:
        raise AliasError(f"{len(saes)} SAEs are given, and this is about one. Give one.")
    with redirect_stdout(sys.stderr):
        from steering.sae import Sae

        return Sae.load(parse_sae(saes[0]).source if saes else BUNDLE / "sae")


def open_atlas(path: Path | None, saes: Sequence[str] | None) -> "Atlas":
    """The atlas at a path, or the one of the SAE that the flags name.

    Raises:
        AtlasError: There is none, it cannot be read, or it is not that SAE's.
    """
    from steering.atlas.places import atlas_path, bundled_atlas
    from steering.atlas.store import Atlas

    if not saes:
        # A file says itself whose it is, so that the SAE need not be loaded.
        known = path or bundled_atlas()
        if known is not None:
            return Atlas.open(known)
    sae = load_sae(saes)
    return Atlas.open(path or atlas_path(sae), sae)


def open_to_write(path: Path | None, saes: Sequence[str] | None) -> "Atlas":
    """The atlas at a path, or a person's own of the SAE that the flags name.

    Raises:
        AtlasError: There is none, it cannot be read or copied, or it is not that SAE's.
    """
    from steering.atlas.store import Atlas

    if path is not None and not saes:
        return Atlas.open(path)
    return atlas_to_write(path, load_sae(saes))


def atlas_to_write(path: Path | None, sae: "Sae") -> "Atlas":
    """The atlas of a loaded SAE, at a path or in a person's own folder.

    Raises:
        AtlasError: There is none, it cannot be read or copied, or it is another SAE's.
    """
    from steering.atlas.places import path_to_write
    from steering.atlas.store import Atlas

    return Atlas.open(path or path_to_write(sae), sae)


def atlas_if_any(path: Path | None, sae: "Sae") -> "Atlas | None":
    """The atlas at a path, or the one of a loaded SAE where it has one.

    Raises:
        AtlasError: It cannot be read, or is another SAE's.
    """
    from steering.atlas.places import find_atlas
    from steering.atlas.store import Atlas

    return find_atlas(sae) if path is None else Atlas.open(path, sae)


def names_of(sae: "Sae", path: Path | None) -> dict[int, str]:
    """The labels of features, from the SAE's file and its atlas."""
    from steering.atlas.known import labels_known

    opened = atlas_if_any(path, sae)
    with opened or nullcontext():
        return labels_known(sae, opened)
