"""Look-ups in SAELens's registry: from a Neuronpedia address or a release to what must be loaded.

It reads the registry's table only and loads no weights.
"""

import difflib
from dataclasses import dataclass

from steering.errors import LoadError


@dataclass(frozen=True)
class RegistryEntry:
    """What one Neuronpedia source is: a model on the hub, and an SAE of a release."""

    model: str
    release: str
    sae_id: str


def find_address(neuronpedia_id: str) -> RegistryEntry:
    """Find the SAE behind a Neuronpedia source such as `gpt2-small/8-res-jb`.

    Raises:
        LoadError: SAELens's registry has none with this address.
    """
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    known: list[str] = []
    for name, release in get_pretrained_saes_directory().items():
        for sae_id, address in release.neuronpedia_id.items():
            if address == neuronpedia_id:
                return RegistryEntry(hub_id(release.model), name, sae_id)
            known += [address] if address else []
    close = ", ".join(difflib.get_close_matches(neuronpedia_id, known, n=4)) or "none"
    raise LoadError(
        f"SAELens's registry has no SAE with the Neuronpedia address {neuronpedia_id!r}; close to "
        f"it: {close}. Give --model and --sae yourself, and the feature by its number."
    )


def model_of_release(release: str) -> str:
    """The model, as a hub id, that the SAEs of a release were trained on.

    Raises:
        LoadError: No such release.
    """
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    known = get_pretrained_saes_directory()
    if release not in known:
        close = ", ".join(difflib.get_close_matches(release, list(known), n=4)) or "none"
        raise LoadError(
            f"There is no SAE release {release!r} in SAELens's registry; close to it: {close}. "
            "Correct the release, or give --model too if it is a repository of your own."
        )
    return hub_id(known[release].model)


def hub_id(model: str) -> str:
    """The hub id of a model that the registry names as TransformerLens does: `gpt2-small`."""
    from transformer_lens.supported_models import MODEL_ALIASES

    for official, aliases in MODEL_ALIASES.items():
        if model in aliases:
            return official
    return model
