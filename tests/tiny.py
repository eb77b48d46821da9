"""Tiny random models and SAEs: every fast test runs on a CPU, offline, in milliseconds.

`steering` is imported inside the functions: jaxtyping's import hook must be in place first.
"""

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from steering.interventions import Intervention
    from steering.plan import SteeringPlan
    from steering.sae import Sae
    from steering.session import Session

D_MODEL, D_SAE, N_LAYERS, N_CTX = 32, 64, 3, 64
WORDS = (
    *("the", "a", "bridge", "city", "of", "fog", "red", "gate", "and", "is", "are", "you", "I"),
    *("we", "see", "walk", "over", "sea", "tower", "bay"),
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<turn>{% endif %}"
)
KINDS = ("standard", "jumprelu", "topk", "gated")


@functools.cache
def tokenizer(*, chat: bool = False) -> "PreTrainedTokenizerFast":
    """Words and single letters, with BOS, EOS and a turn marker."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<bos>", "<eos>", "<unk>", "<turn>"]
    words = [*WORDS, "user", "assistant", "system", *"ABCDEFGHJKLMNOPQRSTUVWXYZbcdefghijklmnopq"]
    vocab = {token: i for i, token in enumerate(special + words)}
    core = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<turn>"],
    )
    if chat:
        made.chat_template = CHAT_TEMPLATE
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        return PreTrainedTokenizerFast.from_pretrained(folder)


def byte_level() -> "PreTrainedTokenizerFast":
    """A byte-level BPE without merges (every byte a token), with one special token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<|end|>", *alphabet])}
    core = Tokenizer(models.BPE(vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")


def byte_fallback() -> "PreTrainedTokenizerFast":
    """A SentencePiece-like tokenizer whose unknown characters become byte tokens."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    words = ["<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefgh"]
    core = Tokenizer(
        models.BPE(
            {token: i for i, token in enumerate(words)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<bos>", unk_token="<unk>")


def hf_model(kind: str = "llama", *, seed: int = 0, scale: float = 3.0) -> "PreTrainedModel":
    """A random model whose next-token distribution is peaked enough to be interesting."""
    import transformers

    vocab = len(tokenizer())
    llama_like: dict[str, Any] = {
        "vocab_size": vocab,
        "hidden_size": D_MODEL,
        "intermediate_size": 48,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": N_CTX,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": None,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama_like))
    elif kind == "gemma2":
        config = transformers.Gemma2Config(
            **{**llama_like, "pad_token_id": 0}, head_dim=8, sliding_window=8
        )
        model = transformers.Gemma2ForCausalLM(config)
    elif kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=vocab,
            n_embd=D_MODEL,
            n_layer=N_LAYERS,
            n_head=4,
            n_positions=N_CTX,
            bos_token_id=0,
            eos_token_id=1,
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.GPTNeoXConfig(
            vocab_size=vocab,
            hidden_size=D_MODEL,
            intermediate_size=48,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=4,
            max_position_embeddings=N_CTX,
            bos_token_id=0,
            eos_token_id=1,
        )
        model = transformers.GPTNeoXForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "norm" not in name:
                weight.normal_(0, scale / weight.shape[-1] ** 0.5)
    return model.eval()


def lens_sae(
    kind: str = "jumprelu",
    *,
    hook_name: str = "blocks.1.hook_resid_post",
    d_in: int = D_MODEL,
    d_sae: int = D_SAE,
    seed: int = 0,
    metadata: dict[str, Any] | None = None,
    **config: Any,
) -> Any:
    """A random SAELens SAE with decoder rows of many lengths and features that often fire."""
    from sae_lens import SAE

    torch.manual_seed(seed)
    about = {"hook_name": hook_name, "model_name": "tiny", "prepend_bos": True, **(metadata or {})}
    cfg = {"architecture": kind, "d_in": d_in, "d_sae": d_sae, "metadata": about, **config}
    if kind == "topk":
        cfg.setdefault("k", 8)
    if hook_name.endswith("hook_z"):
        cfg["reshape_activations"] = "hook_z"
    sae = SAE.from_dict(cfg)
    with torch.no_grad():
        for name, weight in sae.named_parameters():
            weight.copy_(torch.randn_like(weight) * (0.3 if name.startswith(("b_", "r_")) else 1))
        sae.W_enc.div_(d_in**0.5)
        sae.W_dec.mul_(torch.rand(d_sae, 1) + 0.5)
        if kind == "jumprelu":
            sae.get_parameter("threshold").copy_(torch.rand(d_sae) * 0.5)
    return sae


def sae(kind: str = "jumprelu", **options: Any) -> "Sae":
    """The same, wrapped."""
    from steering.sae import Sae

    return Sae(f"tiny-{kind}", lens_sae(kind, **options))


def session(
    kind: str = "jumprelu", *, model: str = "llama", chat: bool = False, **options: Any
) -> "Session":
    """A tiny model with one tiny SAE."""
    from steering.models import LanguageModel
    from steering.session import Session

    language_model = LanguageModel("tiny", hf_model(model), tokenizer(chat=chat))
    return Session(language_model, {"sae": sae(kind, **options)})


def tiny_model_folder(folder: Path, kind: str = "llama", *, chat: bool = False) -> Path:
    """A Hugging Face folder with a tiny model and its tokenizer."""
    hf_model(kind).save_pretrained(folder)
    tokenizer(chat=chat).save_pretrained(folder)
    return folder


def tiny_sae_folder(folder: Path, kind: str = "jumprelu", **options: Any) -> Path:
    """A SAELens folder with a tiny SAE."""
    lens_sae(kind, **options).save_model(folder)
    return folder


def intervention(feature: Any = 3, **fields: Any) -> "Intervention":
    """An intervention on a tiny SAE."""
    from steering.interventions import Intervention

    return Intervention(feature=feature, **fields)


def plan_of(session: "Session", *rows: Sequence["Intervention"]) -> "SteeringPlan":
    """The plan of some rows."""
    from steering.planner import build_plan

    resolved = [[session.resolve(item) for item in row] for row in rows]
    return build_plan(resolved, session.saes, lambda point: session.model.site(point).device)
