"""What a plan keeps alive of a large SAE."""

import torch
from sae_lens import SAE

from benchmarks.result import Result
from steering.interventions import Intervention, Resolved
from steering.planner import build_plan
from steering.sae import Sae

D_MODEL, D_SAE = 4096, 131_072
FEATURES = (5, 1_000, 70_000, 131_071)
HOOK = "blocks.12.hook_resid_post"


def plan_megabytes() -> Result:
    """Distinct storages held by the plan of four clamps; views count with all that they keep."""
    about = {"hook_name": HOOK, "model_name": "bench"}
    cfg = {"architecture": "jumprelu", "d_in": D_MODEL, "d_sae": D_SAE, "metadata": about}
    sae = Sae("bench", SAE.from_dict(cfg))
    row = [
        Resolved(
            intervention=Intervention(feature=feature, strength=1.0, unit="raw"),
            sae="sae",
            hook_name=HOOK,
            raw=1.0,
        )
        for feature in FEATURES
    ]
    plan = build_plan([[], row], {"sae": sae}, lambda _: torch.device("cpu"))
    what = f"plan of {len(FEATURES)} clamps on a {D_SAE:,} × {D_MODEL:,} JumpReLU SAE"
    return Result(what, held_bytes(plan) / 1e6, "MB", 50, at_least=False)


def held_bytes(thing: object) -> int:
    """Bytes of the distinct storages that an object keeps alive; a view counts as its whole."""
    held: dict[int, int] = {}
    _storages(thing, held)
    return sum(held.values())


def _storages(thing: object, held: dict[int, int]) -> None:
    if isinstance(thing, torch.Tensor):
        storage = thing.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
    elif isinstance(thing, tuple | list):
        for part in thing:
            _storages(part, held)
    elif hasattr(thing, "__dataclass_fields__"):
        _storages(list(vars(thing).values()), held)
