"""The atlas that comes with the bundle, made small."""

from dataclasses import asdict, replace
from pathlib import Path

from tests import tiny


def test_the_atlas_names_model_and_sae_as_a_clone_has_them_and_no_folder(tmp_path: Path) -> None:
    from steering.atlas.store import Atlas
    from steering.demo.known import write_atlas
    from steering.demo.recipe import SHIPPED

    tiny.tiny_model_folder(tmp_path / "model")
    tiny.tiny_sae_folder(tmp_path / "sae")
    with Atlas.open(write_atlas(replace(SHIPPED, atlas_tokens=200), tmp_path)) as atlas:
        about = atlas.about
    assert (about.model, about.sae) == ("steering-playground-demo", "sae")
    assert about.tokens >= 200
    assert [value for value in asdict(about).values() if "/" in str(value)] == []
