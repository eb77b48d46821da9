"""Steered decoding against Hugging Face `generate` unsteered, on a GPT-2-small-shaped model.

Random weights, greedy, 48 new tokens; interleaved rounds, medians; both sides in one run.
"""

import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from sae_lens import SAE
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmarks.result import Result
from steering.generation import Decoder, DecodeState, RowState
from steering.interventions import Intervention, Sampling
from steering.models import LanguageModel
from steering.planner import build_plan
from steering.sae import Sae
from steering.session import Session

ROUNDS = 7
NEW_TOKENS = 48
PROMPT = " ".join(f"w{i}" for i in range(16))
SAMPLING = Sampling(max_new_tokens=NEW_TOKENS, temperature=0.0, stop_at_eos=False)
HOOK = "blocks.8.hook_resid_pre"


def decode_ratios() -> list[Result]:
    """One steered row, 17 rows, and the edits' own cost."""
    session = _session()
    one = [Intervention(feature=f, strength=5.0, unit="raw") for f in (1, 2, 3, 4)]
    sweep = {f"{s}": [Intervention(feature=1, strength=float(s), unit="raw")] for s in range(1, 17)}
    seconds = _interleaved(
        {
            "generate": lambda: _hf_generate(session),
            "steered": lambda: session.generate(PROMPT, one, SAMPLING),
            "sweep": lambda: session.compare(PROMPT, sweep, SAMPLING, allow_inert=True),
        }
    )
    return [
        Result(
            "one steered row (4 clamped features), tokens/s over generate unsteered",
            seconds["generate"] / seconds["steered"],
            "×",
            0.95,
            at_least=True,
        ),
        Result(
            "baseline + 16 strengths in one decode, time over one generate",
            seconds["sweep"] / seconds["generate"],
            "×",
            3.5,
            at_least=False,
        ),
        Result(
            "edits' own cost, 4 clamped JumpReLU features, share of a decode step",
            100 * _edit_share(session, one),
            "%",
            3,
            at_least=False,
        ),
    ]


def _session() -> Session:
    torch.manual_seed(0)
    vocab = {f"w{i}": i for i in range(50_257)}
    core = Tokenizer(models.WordLevel(vocab, unk_token="w0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        PreTrainedTokenizerFast(tokenizer_object=core, unk_token="w0").save_pretrained(folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = GPT2LMHeadModel(GPT2Config()).eval()
    about = {"hook_name": HOOK, "model_name": "bench"}
    cfg = {"architecture": "jumprelu", "d_in": 768, "d_sae": 24_576, "metadata": about}
    return Session(LanguageModel("bench", model, tokenizer), {"sae": Sae("x", SAE.from_dict(cfg))})


def _hf_generate(session: Session) -> None:
    ids = torch.tensor([session.model.encode(PROMPT, prepend_bos=True).ids])
    session.model.hf.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        pad_token_id=0,
    )


def _interleaved(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each side, one round of all after the other, a warm-up first."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(ROUNDS + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def _edit_share(session: Session, edits: list[Intervention]) -> float:
    """(step with edits - step without) / step without, medians of interleaved single steps."""
    decoders = [_decoder(session, row) for row in ([], edits)]
    states = [decoder.step(state)[0] for decoder, state in decoders]
    taken: list[list[float]] = [[], []]
    for turn in range(400):
        # Alternate which side goes first, so that neither always runs on the warmer cache.
        for side in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            decoders[side][0].step(states[side])
            taken[side].append(time.perf_counter() - began)
    plain, edited = (statistics.median(each) for each in taken)
    return edited / plain - 1


def _decoder(session: Session, edits: list[Intervention]) -> tuple[Decoder, DecodeState]:
    rows = [[session.resolve(item) for item in edits]]
    plan = build_plan(rows, session.saes, lambda point: session.model.site(point).device)
    decoder = Decoder(session.model, plan, SAMPLING)
    prompt = session.model.encode(PROMPT, prepend_bos=True)
    return decoder, decoder.start([RowState.start("row", prompt, 0, None)])
