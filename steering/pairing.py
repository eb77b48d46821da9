"""Whether an SAE fits a model: hook, width, and whether it was trained on that model."""

from collections.abc import Callable

from steering.calibration import Calibration
from steering.errors import UnsupportedSaeError
from steering.hook_points import HookPoint
from steering.hooks import read_streams
from steering.models import LanguageModel
from steering.sae import Sae


def require_fit(model: LanguageModel, sae: Sae) -> None:
    """Raise unless the model has the SAE's hook and its width there.

    Raises:
        HookNameError: The model has no such hook.
        UnsupportedSaeError: The widths differ.
    """
    point = HookPoint.parse(sae.hook_name)
    model.site(point)
    width = model.d_model
    if point.kind == "z":
        width = read_streams(model, [[0]], [point])[0][point].shape[-1]
    if width != sae.d_in:
        raise UnsupportedSaeError(
            f"SAE {sae.name!r} reads a width of {sae.d_in}, and {model.name!r} has {width} at "
            f"{point.name}. Choose an SAE that was trained on this model."
        )


def pairing_warnings(
    model: LanguageModel, sae: Sae, calibration: Callable[[], Calibration]
) -> list[str]:
    """A warning, with the figure that tells, where the SAE names another model."""
    if sae.model_name is None or same_model(sae.model_name, model.name):
        return []
    share = calibration().unexplained(sae)
    return [
        f"SAE {sae.name!r} was trained on {sae.model_name!r}, and the model is {model.name!r}: "
        f"{share:.1%} of variance unexplained on the calibration text. "
        "Much above 30 % means that its features do not mean here what they meant there."
    ]


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model, by TransformerLens's own list of aliases."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    """The official name without its owner: gpt2-small, gpt2 and openai-community/gpt2 are one."""
    from transformer_lens.supported_models import MODEL_ALIASES

    short = name.rstrip("/").rpartition("/")[2].lower()
    for official, aliases in MODEL_ALIASES.items():
        if short in (alias.lower() for alias in aliases):
            return official.rpartition("/")[2].lower()
    return short
