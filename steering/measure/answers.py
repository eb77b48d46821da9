"""How likely a given answer is under several edits: teacher forcing, one pass for all of them."""

from collections.abc import Sequence

import torch

from steering.errors import PromptError
from steering.interventions import Intervention
from steering.measure.divergence import forced_logits
from steering.memory import explain_memory
from steering.planner import build_plan
from steering.requests import Prompt, one_prompt
from steering.session import Session


def answer_log_probs(
    session: Session, prompt: Prompt, answer: str, variants: Sequence[Sequence[Intervention]]
) -> list[float]:
    """Mean log-probability of the answer's tokens (nats) under each list of edits.

    An empty list is the unsteered model.

    Raises:
        PromptError: The answer is empty, or prompt and answer are longer than the context.
        SteeringError: An edit that cannot be resolved.
    """
    tokenizer = session.model.tokenizer
    written = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if not written:
        raise PromptError("The answer is empty. Give at least one word.")
    encoded = session.model.encode(
        one_prompt(prompt), prepend_bos=session.prepend_bos, room=len(written)
    )
    rows = [tuple(session.resolve(each) for each in edits) for edits in variants]
    with explain_memory():
        plan = build_plan(rows, session.saes, lambda point: session.model.site(point).device)
        with session.model.lock, torch.inference_mode():
            logits = forced_logits(session.model, plan, encoded.ids, written)
    ids = torch.tensor(written, device=logits.device)
    picked = logits.float().log_softmax(-1).gather(-1, ids.expand(len(rows), -1)[..., None])
    return picked[..., 0].mean(-1).tolist()
