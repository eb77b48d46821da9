"""Run in a subprocess: load models with their SAEs from the hub, steer, check by the textbook.

Each argument is a JSON list of a model id, an SAELens release and an SAE id; each becomes one line
of JSON on standard output, the record of the comparison with what the textbook says beside it.
The textbook's log-probs come from transformers and SAELens alone: one pass over the finished text,
the edit written as in the papers, no cache and nothing of the package but the record.
"""

import json
import sys
from typing import Any

import torch
from sae_lens import SAE
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from steering import Intervention, Sampling, Session

PROMPT = "Hello there"
FEATURE = 3
VARIANTS = {
    "add": [Intervention(feature=FEATURE, edit="add", strength=0.5, unit="norm")],
    "clamp": [Intervention(feature=FEATURE, edit="clamp", strength=5.0, unit="raw")],
}


def steer(model: str, release: str, sae_id: str) -> dict[str, Any]:
    """The record of the comparison, and the tokens' log-probs by the textbook."""
    session = Session.load(model, sae=(release, sae_id), device="cpu")
    sampling = Sampling(max_new_tokens=5, temperature=0.0, stop_at_eos=False)
    comparison = session.compare(PROMPT, VARIANTS, sampling=sampling)
    record = comparison.to_dict()
    record["bos"] = AutoTokenizer.from_pretrained(model).bos_token_id
    record["textbook"] = textbook(model, release, sae_id, record["rows"])
    return record


@torch.no_grad()
def textbook(
    model: str, release: str, sae_id: str, rows: list[dict[str, Any]]
) -> dict[str, list[float]]:
    """Log-probs of each row's tokens."""
    hf: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    special = AutoTokenizer.from_pretrained(model).all_special_ids
    sae = SAE.from_pretrained(release, sae_id)
    layers: Any = hf.transformer.h if hasattr(hf, "transformer") else hf.model.layers
    _, layer, place = sae.cfg.metadata.hook_name.split(".")
    block = layers[int(layer) - (place == "hook_resid_pre")]
    found = {}
    for row in rows:
        ids = torch.tensor([row["prompt_ids"] + row["token_ids"]])
        steered = ~torch.isin(ids, torch.tensor(special)) & (torch.arange(ids.shape[1]) > 0)

        def edit(
            _module: object, _input: object, x: Tensor, row: Any = row, at: Tensor = steered
        ) -> Tensor:
            return x + at[..., None] * delta(sae, x, row)

        handle = block.register_forward_hook(edit)
        try:
            found[row["name"]] = logprobs(hf, ids, len(row["token_ids"]))
        finally:
            handle.remove()
    return found


def delta(sae: SAE[Any], x: Tensor, row: dict[str, Any]) -> Tensor:
    """What the row's edit adds at every position; nothing for the baseline."""
    if not row["interventions"]:
        return torch.zeros_like(x)
    edit = row["interventions"][0]
    processing = sae.cfg.metadata.model_from_pretrained_kwargs or {}
    centred = processing.get("center_writing_weights", False)
    read = x - x.mean(dim=-1, keepdim=True) if centred else x
    norm = sae.W_dec[FEATURE].norm()
    f = sae.encode(read)[..., FEATURE] * norm
    change = torch.full_like(f, edit["raw"]) - (f if edit["edit"] == "clamp" else 0.0)
    return change[..., None] * sae.W_dec[FEATURE] / norm


def logprobs(hf: PreTrainedModel, ids: Tensor, new: int) -> list[float]:
    """Log-probs of the last `new` tokens."""
    table = hf(ids).logits[0, -new - 1 : -1].log_softmax(dim=-1)
    return table.gather(1, ids[0, -new:, None])[:, 0].tolist()


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        sys.stdout.write(json.dumps(steer(*json.loads(argument))) + "\n")
        sys.stdout.flush()
