"""How the unsteered and the steered model rate each token that was written, on the same prefix.

Teacher forcing: one pass over a row's own tokens gives what the cached decode gave step by step,
since every mask, schedule and condition counts absolute positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering.edits import Chunk
from steering.errors import AliasError
from steering.hooks import steered
from steering.interventions import Resolved
from steering.memory import explain_memory
from steering.models import LanguageModel
from steering.plan import SteeringPlan
from steering.planner import build_plan
from steering.records import BASELINE, Comparison, Row
from steering.session import Session

MOST_NUMBERS = 2**28
"""Logits held at once: 1 GB in float32, 1,000 tokens of a vocabulary of 128,000."""
PART = 32
"""Positions rated at once: in float32 each takes two numbers for every word of the vocabulary."""


@dataclass(frozen=True)
class Alternative:
    """A token that could have come next."""

    token_id: int
    text: str
    prob: float


@dataclass(frozen=True)
class TokenEvidence:
    """One written token, as the unsteered and the steered model rate it on the same prefix."""

    baseline: float
    """Its probability without the edits, before temperature and penalties."""
    steered: float
    """Its probability with them."""
    baseline_top: tuple[Alternative, ...]
    steered_top: tuple[Alternative, ...]
    kl: float
    """KL(steered || baseline) in nats at this step."""


def token_evidence(
    session: Session, comparison: Comparison, *, top: int = 5
) -> tuple[tuple[TokenEvidence, ...], ...]:
    """Rate every written token of every row on both sides.

    The baseline's text is held against the first steered row with its prompt. A row with nothing to
    be held against has no evidence; a long one has it for its first tokens, as many as MOST_NUMBERS
    allow.

    Args:
        session: The one that made the comparison.
        comparison: What was written.
        top: How many alternatives to keep on each side.

    Raises:
        AliasError: The comparison was made with other SAEs.
    """
    _require_same(session, comparison)
    return tuple(
        _rated(session, row, _held_against(row, comparison.rows), top) for row in comparison.rows
    )


def _require_same(session: Session, comparison: Comparison) -> None:
    loaded = {alias: sae.fingerprint for alias, sae in session.saes.items()}
    used = {alias: about["fingerprint"] for alias, about in comparison.saes.items()}
    if loaded != used:
        raise AliasError(
            f"The comparison was made with the SAEs {', '.join(used) or 'none'}, and this session "
            f"holds {', '.join(loaded) or 'none'}, or others of that name. Ask the session that "
            "made it."
        )


def _held_against(row: Row, rows: Sequence[Row]) -> tuple[Resolved, ...]:
    """The edits on the steered side of a row."""
    if row.name != BASELINE:
        return row.interventions
    beside = (each for each in rows if each.interventions and each.prompt_ids == row.prompt_ids)
    return next((each.interventions for each in beside), ())


def _rated(
    session: Session, row: Row, edits: Sequence[Resolved], top: int
) -> tuple[TokenEvidence, ...]:
    most = MOST_NUMBERS // (2 * session.model.hf.config.get_text_config().vocab_size)
    row = replace(row, token_ids=row.token_ids[: max(1, most)])
    if not row.token_ids or not edits:
        return ()
    # One row where nothing differs: two equal rows of a batch agree only up to their kernels.
    sides = [(), tuple(edits)] if any(item.intervention.enabled for item in edits) else [()]
    with explain_memory():
        plan = build_plan(sides, session.saes, lambda point: session.model.site(point).device)
        with session.model.lock, torch.inference_mode():
            logits = forced_logits(session.model, plan, row.prompt_ids, row.token_ids)
        written = torch.tensor(row.token_ids, device=logits.device)
        befores = (row.prompt_ids[-1], *row.token_ids[:-1])
        return tuple(
            evidence
            for at in range(0, len(written), PART)
            for evidence in _evidence(
                session.model,
                logits[:, at : at + PART],
                written[at : at + PART],
                befores[at : at + PART],
                top,
            )
        )


def forced_logits(
    model: LanguageModel, plan: SteeringPlan, prompt_ids: Sequence[int], written: Sequence[int]
) -> Float[Tensor, "row pos vocab"]:
    """The logits from which each written token would be drawn in each row of a plan, in one pass.

    The caller holds the model's lock.
    """
    # The last token is only predicted, so a row that fills the context fits.
    ids = (*prompt_ids, *written[:-1])
    count, device = len(written), model.device
    special = [i in model.special_ids for i in ids]
    chunk = Chunk(
        offset=0,
        pads=torch.zeros(plan.n_rows, dtype=torch.long, device=device),
        prompt_length=torch.full((plan.n_rows,), len(prompt_ids), device=device),
        special=torch.tensor([special] * plan.n_rows, device=device),
    )
    history = torch.full((plan.n_rows, plan.n_watched, len(ids)), -torch.inf, device=device)
    with steered(model, plan, chunk, history):
        output = model.hf(
            input_ids=torch.tensor([ids] * plan.n_rows, device=device),
            use_cache=False,
            **model.keep_logits(count),
        )
    return output.logits[:, -count:]


def _evidence(
    model: LanguageModel,
    logits: Float[Tensor, "side pos vocab"],
    written: Int[Tensor, " pos"],
    befores: Sequence[int],
    top: int,
) -> list[TokenEvidence]:
    """What some positions say of the tokens written there; one side stands for both."""
    logprobs = logits.float().log_softmax(-1)
    baseline, steered_ = logprobs[0], logprobs[-1]
    gap = (steered_ - baseline).nan_to_num(0.0, 0.0, 0.0)
    kl = (steered_.exp() * gap).sum(-1).clamp(min=0.0).tolist()
    probs = [
        side.gather(-1, written[:, None])[:, 0].exp().tolist() for side in (baseline, steered_)
    ]
    tops = [_alternatives(model, side, befores, top) for side in (baseline, steered_)]
    return [TokenEvidence(*each) for each in zip(*probs, *tops, kl, strict=True)]


def _alternatives(
    model: LanguageModel, logprobs: Float[Tensor, "pos vocab"], befores: Sequence[int], top: int
) -> list[tuple[Alternative, ...]]:
    """The likeliest tokens of each position, each spelled as it reads behind the token before."""
    values, ids = logprobs.topk(min(top, logprobs.shape[-1]))
    return [
        tuple(
            Alternative(token, model.pieces((before, token))[-1], prob)
            for token, prob in zip(tokens, probs, strict=True)
        )
        for before, tokens, probs in zip(befores, ids.tolist(), values.exp().tolist(), strict=True)
    ]
