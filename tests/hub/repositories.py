"""Random-weight repositories under real names and in real file formats, as small as loaders allow.

Widths are the real ones, depth, heads, inner sizes and vocabulary are not. Nothing here imports
transformers or SAELens: the files are written by hand, so that what reads them is really tested.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor

GPT2 = "openai-community/gpt2"
GPT2_SAE = "jbloom/GPT2-Small-SAEs-Reformatted"
GEMMA = "google/gemma-2-2b"
GEMMA_SAE = "google/gemma-scope-2b-pt-res"
LLAMA = "meta-llama/Llama-3.1-8B"
LLAMA_SAE = "fnlp/Llama3_1-8B-Base-LXR-8x"

ALIASES = {"gpt2": GPT2}
"""Old names that the hub still redirects."""

VOCABULARY = 400
CONTEXT = 64
D_SAE = 64
GEMMA_D_SAE = 16384
"""SAELens reads this width off the folder's name, so it cannot be smaller."""
LLAMA_NORM_SCALING_FACTOR = 39.76699029126213
"""SAELens's registry has this for `l1r_8x`; the file's average norm agrees with it."""

TRAINING_TEXT = (
    "Hello there, what is your physical form?",
    "The bridge crosses the strait in the fog, and the river runs under the bridge.",
    "I think that the weather in the north will be cold, but the light is good.",
    "A language model writes one token at a time; a sparse autoencoder reads its thoughts.",
)


def write_repositories(root: Path) -> dict[str, Path]:
    """Write every repository under `root` and return their folders by name."""
    writers = {
        GPT2: _write_gpt2,
        GPT2_SAE: _write_gpt2_sae,
        GEMMA: _write_gemma,
        GEMMA_SAE: _write_gemma_sae,
        LLAMA: _write_llama,
        LLAMA_SAE: _write_llama_sae,
    }
    folders = {name: root / name for name in writers}
    for name, write in writers.items():
        folders[name].mkdir(parents=True)
        write(folders[name])
    return folders


def _write_gpt2(folder: Path) -> None:
    """Nine layers, so that `blocks.8` exists; keys without a prefix, as in the real file."""
    width, inner, layers, context = 768, 32, 9, CONTEXT
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_embd": width,
        "n_inner": inner,
        "n_layer": layers,
        "n_head": 12,
        "n_ctx": context,
        "n_positions": context,
        "layer_norm_epsilon": 1e-05,
        "initializer_range": 0.02,
        "bos_token_id": VOCABULARY - 1,
        "eos_token_id": VOCABULARY - 1,
        "vocab_size": VOCABULARY,
    }
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (VOCABULARY, width),
        "wpe.weight": (context, width),
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
    }
    for layer in range(layers):
        shapes |= {
            f"h.{layer}.{name}": shape
            for name, shape in {
                "ln_1.weight": (width,),
                "ln_1.bias": (width,),
                "ln_2.weight": (width,),
                "ln_2.bias": (width,),
                "attn.c_attn.weight": (width, 3 * width),
                "attn.c_attn.bias": (3 * width,),
                "attn.c_proj.weight": (width, width),
                "attn.c_proj.bias": (width,),
                "mlp.c_fc.weight": (width, inner),
                "mlp.c_fc.bias": (inner,),
                "mlp.c_proj.weight": (inner, width),
                "mlp.c_proj.bias": (width,),
            }.items()
        }
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"eos_token_id": VOCABULARY - 1})
    _save(folder / "model.safetensors", _random_weights(shapes, torch.float32, norm_scale=1.0))
    tokenizer = _byte_level_tokenizer(specials=["<|endoftext|>"], specials_last=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    _write_json(folder / "tokenizer_config.json", {"model_max_length": context})


def _write_gpt2_sae(folder: Path) -> None:
    """The format of SAELens before version 6, with its spent `scaling_factor`."""
    path = folder / "blocks.8.hook_resid_pre"
    path.mkdir()
    config = {
        "model_name": "gpt2-small",
        "hook_point": "blocks.8.hook_resid_pre",
        "hook_point_layer": 8,
        "hook_point_head_index": None,
        "dataset_path": "Skylion007/openwebtext",
        "is_dataset_tokenized": False,
        "context_size": 128,
        "d_in": 768,
        "d_sae": D_SAE,
        "device": "mps",
        "dtype": "torch.float32",
        "seed": 42,
        "l1_coefficient": 8e-05,
    }
    _write_json(path / "cfg.json", config)
    weights = _random_sae(768, D_SAE) | {"scaling_factor": torch.ones(D_SAE)}
    weights["W_dec"] -= weights["W_dec"].mean(dim=-1, keepdim=True)  # trained on centred writes
    _save(path / "sae_weights.safetensors", weights)
    _save(path / "sparsity.safetensors", {"sparsity": torch.full((D_SAE,), -3.0)})


def _write_gemma(folder: Path) -> None:
    """Two shards and an index, tied embeddings, the tokenizer with byte fallback."""
    config = {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "hidden_size": 2304,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": CONTEXT,
        "sliding_window": 4096,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "torch_dtype": "float32",
        "vocab_size": VOCABULARY,
    }
    norms = ("input", "post_attention", "pre_feedforward", "post_feedforward")
    shapes = _llama_like_shapes(config, norms=norms, tied=True)
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"bos_token_id": 2, "eos_token_id": 1})
    _save_sharded(folder, _random_weights(shapes, torch.float32, norm_scale=-0.8))
    _gemma_tokenizer().save(str(folder / "tokenizer.json"))
    specials = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    _write_json(folder / "special_tokens_map.json", specials | {"unk_token": "<unk>"})
    _write_json(
        folder / "tokenizer_config.json",
        specials
        | {
            "add_bos_token": True,
            "add_eos_token": False,
            "tokenizer_class": "GemmaTokenizer",
            "unk_token": "<unk>",
        },
    )


def _write_gemma_sae(folder: Path) -> None:
    """Gemma Scope's npz: 16,384 features whose weights repeat, so that the file stays small."""
    path = folder / "layer_1/width_16k/average_l0_102"
    path.mkdir(parents=True)
    sae = {name: tensor.numpy() for name, tensor in _random_sae(2304, D_SAE).items()}
    repeats = GEMMA_D_SAE // D_SAE
    np.savez_compressed(
        path / "params.npz",
        W_enc=np.tile(sae["W_enc"], (1, repeats)),
        W_dec=np.resize(sae["W_dec"][:3], (GEMMA_D_SAE, 2304)),
        b_enc=np.tile(sae["b_enc"], repeats),
        b_dec=sae["b_dec"],
        threshold=np.full(GEMMA_D_SAE, 0.5, dtype=np.float32),
    )


def _write_llama(folder: Path) -> None:
    """Two bfloat16 shards and an index, untied embeddings, the Llama 3 rope."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-05,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 8.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY,
    }
    shapes = _llama_like_shapes(config, norms=("input", "post_attention"), tied=False)
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"bos_token_id": 0, "eos_token_id": 1})
    _save_sharded(folder, _random_weights(shapes, torch.bfloat16, norm_scale=1.0))
    specials = ["<|begin_of_text|>", "<|end_of_text|>"]
    tokenizer = _byte_level_tokenizer(specials=specials, specials_last=False)
    tokenizer.post_processor = _begin_with("<|begin_of_text|>", 0)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    _write_json(folder / "special_tokens_map.json", names)
    _write_json(
        folder / "tokenizer_config.json",
        names | {"model_max_length": CONTEXT, "tokenizer_class": "PreTrainedTokenizerFast"},
    )


def _write_llama_sae(folder: Path) -> None:
    """Llama Scope: hyperparams.json, and weights transposed under checkpoints/."""
    path = folder / "Llama3_1-8B-Base-L1R-8x"
    (path / "checkpoints").mkdir(parents=True)
    average_norm = 4096**0.5 / LLAMA_NORM_SCALING_FACTOR
    hyperparams = {
        "act_fn": "jumprelu",
        "d_model": 4096,
        "d_sae": D_SAE,
        "dataset_average_activation_norm": {"in": average_norm, "out": average_norm},
        "expansion_factor": 8,
        "hook_point_in": "blocks.1.hook_resid_post",
        "hook_point_out": "blocks.1.hook_resid_post",
        "jump_relu_threshold": 0.5,
        "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
        "top_k": 50,
        "use_decoder_bias": True,
    }
    _write_json(path / "hyperparams.json", hyperparams)
    sae = _random_sae(4096, D_SAE)
    weights = {
        "encoder.weight": sae["W_enc"].T,
        "encoder.bias": sae["b_enc"],
        "decoder.weight": sae["W_dec"].T,
        "decoder.bias": sae["b_dec"],
    }
    half = {name: tensor.bfloat16().contiguous() for name, tensor in weights.items()}
    _save(path / "checkpoints/final.safetensors", half)


def _llama_like_shapes(
    config: Mapping[str, object], *, norms: Iterable[str], tied: bool
) -> dict[str, tuple[int, ...]]:
    """Parameter names and shapes of a Llama or Gemma 2 of that config."""
    sizes = ("hidden_size", "intermediate_size", "head_dim", "num_hidden_layers")
    width, inner, head, layers = (int(str(config[name])) for name in sizes)
    queries = head * int(str(config["num_attention_heads"]))
    keys = head * int(str(config["num_key_value_heads"]))
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, width),
        "model.norm.weight": (width,),
    }
    if not tied:
        shapes["lm_head.weight"] = (VOCABULARY, width)
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{norm}_layernorm.weight": (width,) for norm in norms}
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (queries, width),
            f"{prefix}.self_attn.k_proj.weight": (keys, width),
            f"{prefix}.self_attn.v_proj.weight": (keys, width),
            f"{prefix}.self_attn.o_proj.weight": (width, queries),
            f"{prefix}.mlp.gate_proj.weight": (inner, width),
            f"{prefix}.mlp.up_proj.weight": (inner, width),
            f"{prefix}.mlp.down_proj.weight": (width, inner),
        }
    return shapes


def _random_weights(
    shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, *, norm_scale: float
) -> dict[str, Tensor]:
    """Matrices small and random, biases zero, norms at their neutral value."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            weights[name] = (0.02 * torch.randn(shape, generator=generator)).to(dtype)
        else:
            neutral = 0.0 if name.endswith("bias") else norm_scale
            weights[name] = torch.full(shape, neutral, dtype=dtype)
    return weights


def _random_sae(d_in: int, d_sae: int) -> dict[str, Tensor]:
    """Encoder columns parallel to decoder rows, which are not unit vectors."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(d_sae, d_in, generator=generator))
    norms = torch.linspace(0.5, 1.5, d_sae)[:, None]
    return {
        "W_enc": directions.T.contiguous(),
        "W_dec": (directions * norms).contiguous(),
        "b_enc": torch.zeros(d_sae),
        "b_dec": 0.01 * torch.randn(d_in, generator=generator),
    }


def _byte_level_tokenizer(*, specials: list[str], specials_last: bool) -> Tokenizer:
    """A byte-level BPE (GPT-2, Llama 3) with every byte, a few merges and `VOCABULARY` tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - len(specials), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    return _finish(tokenizer, specials, specials_last=specials_last)


def _finish(trained: Tokenizer, specials: list[str], *, specials_last: bool) -> Tokenizer:
    """Give the vocabulary exactly `VOCABULARY` tokens, the special ones first or last."""
    model = json.loads(trained.to_str())["model"]
    ordinary = sorted(model["vocab"], key=model["vocab"].__getitem__)
    unused = [f"unused{i}" for i in range(VOCABULARY - len(specials) - len(ordinary))]
    tokens = [*ordinary, *unused, *specials] if specials_last else [*specials, *ordinary, *unused]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    return tokenizer


def _gemma_tokenizer() -> Tokenizer:
    """A BPE over characters, with a token for every byte that it falls back on."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = sorted(set("".join(TRAINING_TEXT)) - {" "})
    tokens = [*specials, *bytes_, "▁", *letters]
    tokens += [f"<unused{i}>" for i in range(VOCABULARY - len(tokens))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        BPE(vocab=vocabulary, merges=[], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = _begin_with("<bos>", 2)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    return tokenizer


def _begin_with(token: str, index: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, index)]
    )


def _save_sharded(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Two shards and their index, as large models are published."""
    names = sorted(weights)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    files: dict[str, str] = {}
    for number, half in enumerate(halves, start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        _save(folder / file, {name: weights[name] for name in half})
        files |= dict.fromkeys(half, file)
    size = sum(tensor.nbytes for tensor in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": files}
    _write_json(folder / "model.safetensors.index.json", index)


def _save(path: Path, weights: Mapping[str, Tensor]) -> None:
    save_file(dict(weights), path, metadata={"format": "pt"})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2))
