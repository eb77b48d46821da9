"""Stage two: train SAEs on the demo model's residual stream with SAELens's own trainer.

Knows the model only as a source of activations. Trained without labels: nothing here reads what
the grammar knows about a document. Special tokens are left out, as everywhere.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.sae_trainer import SAETrainer
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaForCausalLM

from steering.demo.corpus import attention_mask, load_or_build_corpus
from steering.demo.precision import is_quick_in_bfloat16
from steering.demo.prototypes import Activations, Start, start
from steering.demo.recipe import Recipe, hook_name
from steering.demo.tokens import SPECIAL
from steering.demo.weights import rewrite_weights

_NORM_BATCHES = 20
_READ_AT_ONCE = 256  # tokens encoded at once: activations that stay near the processor
_TALKS = "talks"  # beside the checkpoints: how many decoder rows are held
MODEL_NAME = "steering-playground-demo"


def train_dictionary(recipe: Recipe, work: Path, layer: int, device: str = "cpu") -> Path:
    """Train to the last sample (from the last checkpoint, if any) and save the inference SAE."""
    folder = sae_folder(work, layer)
    if (folder / "sae_weights.safetensors").exists():
        return folder
    torch.manual_seed(recipe.seed)
    sae = BatchTopKTrainingSAE(_config(recipe, layer, device))
    read = collect(recipe, work, layer)
    acts = read.vectors.to(device)
    checkpoints = work / f"{folder.name}.checkpoints"
    config = _trainer_config(recipe, layer, checkpoints, device)
    trainer = SAETrainer(config, sae, _batches(acts, recipe))
    _resume(trainer, sae, checkpoints)
    if trainer.activation_scaler.scaling_factor is None:
        # From vectors of its own, so that a resumed run reads the same batches as an unbroken one.
        trainer.activation_scaler.estimate_scaling_factor(
            recipe.width, _batches(acts, recipe), _NORM_BATCHES
        )
        scale = trainer.activation_scaler.scaling_factor
        assert scale is not None, "it was estimated just now"
        begun = start(read, sae.cfg.d_sae, torch.Generator().manual_seed(recipe.seed))
        _begin(sae, begun, scale)
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / _TALKS).write_text(str(begun.talks))
    _hold(sae, int((checkpoints / _TALKS).read_text()))
    trainer.data_provider = _batches(acts, recipe, start=trainer.n_training_steps)
    sae = trainer.fit()
    partial = folder.with_suffix(".partial")
    sae.save_inference_model(partial)
    drop_silent(partial, acts.cpu())
    partial.rename(folder)
    return folder


@torch.no_grad()
def drop_silent(folder: Path, acts: Float[Tensor, "tokens width"]) -> int:
    """Remove a saved SAE's latents that fire on none of its training vectors; how many those were.

    They change no reconstruction that training saw, and a shipped row costs a kilobyte.
    """
    sae = SAE.load_from_disk(folder)
    fired = torch.zeros(sae.cfg.d_sae, dtype=torch.bool)
    for part in acts.split(_READ_AT_ONCE):
        fired |= (sae.encode(part) > 0).any(0)
    kept = fired.nonzero()[:, 0]
    axes = {"W_dec": 0, "W_enc": 1, "b_enc": 0, "threshold": 0}
    rewrite_weights(
        folder / "sae_weights.safetensors",
        lambda name, value: value.index_select(axes[name], kept) if name in axes else value,
    )
    written = json.loads((folder / "cfg.json").read_text())
    written["d_sae"] = int(fired.sum())
    (folder / "cfg.json").write_text(json.dumps(written))
    return int((~fired).sum())


def sae_folder(work: Path, layer: int) -> Path:
    """Where the SAE of a layer is kept."""
    return work / f"sae-{layer}"


def collect(recipe: Recipe, work: Path, layer: int) -> Activations:
    """Residual vectors of ordinary tokens behind a layer, in the order of the rows."""
    _, rows, _ = load_or_build_corpus(recipe, work)
    model = load_trunk(work / "model", layer)
    opening = int(model.config.bos_token_id)  # pyright: ignore
    vectors = torch.empty(recipe.sae_tokens, recipe.width)
    tokens = torch.empty(recipe.sae_tokens, dtype=torch.long)
    documents = torch.empty(recipe.sae_tokens, dtype=torch.long)
    filled = begun = 0
    bar = tqdm(total=recipe.sae_tokens, desc="Activations")
    for resid, ids in residuals(model, rows, layer):
        numbers = begun + (ids == opening).flatten().cumsum(0).view_as(ids)
        begun = int(numbers.max())
        kept = ids >= len(SPECIAL)
        part = slice(filled, min(filled + int(kept.sum()), recipe.sae_tokens))
        size = part.stop - part.start
        vectors[part] = resid[kept][:size]
        tokens[part] = ids[kept][:size]
        documents[part] = numbers[kept][:size]
        filled = part.stop
        bar.update(size)
        if filled == recipe.sae_tokens:
            break
    bar.close()
    return Activations(vectors[:filled], tokens[:filled], documents[:filled])


@torch.no_grad()
def _begin(sae: BatchTopKTrainingSAE, found: Start, scale: float) -> None:
    """Give an untrained SAE, which reads the stream times `scale`, the weights it starts from."""
    sae.W_dec.copy_(found.w_dec)
    sae.W_enc.copy_(found.w_enc)
    sae.b_enc.copy_(found.b_enc * scale)
    sae.b_dec.copy_(found.b_dec * scale)


def _hold(sae: BatchTopKTrainingSAE, talks: int) -> None:
    """Keep the decoder rows of talks as they are; when they fire is learnt.

    What a talk is about is a small part of each of its tokens. Trained, such a row turns to the few
    tokens on which it fires first: of a cosine of 0.93 with a tone it keeps 0.47.
    """

    def held(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[:talks] = 0.0
        return gradient

    sae.W_dec.register_hook(held)


def load_trunk(folder: Path, layer: int) -> LlamaForCausalLM:
    """The model without the blocks after `layer`, which its residual stream does not need."""
    model = LlamaForCausalLM.from_pretrained(folder)
    model.model.layers = model.model.layers[: layer + 1]
    return model


def residuals(
    model: LlamaForCausalLM, rows: Int[Tensor, "rows row"], layer: int
) -> Iterator[tuple[Float[Tensor, "batch row width"], Int[Tensor, "batch row"]]]:
    """`resid_post` of `layer` with its token ids, batch by batch, each document on its own."""
    caught: list[Any] = []

    def catch(_module: object, _inputs: object, output: Any) -> None:
        caught.append(output)

    handle = model.model.layers[layer].register_forward_hook(catch)
    try:
        for ids in rows.split(32):
            mask = attention_mask(ids, int(model.config.bos_token_id), 0)  # pyright: ignore
            with torch.no_grad():
                model.model(input_ids=ids, attention_mask=mask, use_cache=False)
            output = caught.pop()
            yield output[0] if isinstance(output, tuple) else output, ids
    finally:
        handle.remove()


def _batches(
    acts: Float[Tensor, "tokens width"], recipe: Recipe, start: int = 0
) -> Iterator[Float[Tensor, "batch width"]]:
    """Endless shuffled batches from batch `start` on; which vectors depends on the number alone."""
    step = start
    while True:
        draw = torch.Generator().manual_seed(recipe.seed * 7_919 + step)
        yield acts[torch.randint(len(acts), (recipe.sae_batch,), generator=draw).to(acts.device)]
        step += 1


def _config(recipe: Recipe, layer: int, device: str) -> BatchTopKTrainingSAEConfig:
    metadata = SAEMetadata(
        model_name=MODEL_NAME,
        hook_name=hook_name(layer),
        hook_head_index=None,
        prepend_bos=True,
        context_size=recipe.row,
        dataset_path="the bundled grammar",
    )
    return BatchTopKTrainingSAEConfig(
        d_in=recipe.width,
        d_sae=recipe.dictionary(layer).latents,
        k=recipe.dictionary(layer).active,
        dtype="float32",
        device=device,
        decoder_init_norm=1.0,
        topk_threshold_lr=0.03,
        # Folded into the weights at the end. Without it the biases of a stream of norm 75 cannot
        # grow to its size in the steps that there are.
        normalize_activations="expected_average_only_in",
        metadata=metadata,
    )


def _trainer_config(recipe: Recipe, layer: int, checkpoints: Path, device: str) -> SAETrainerConfig:
    rate, samples = recipe.dictionary(layer).learning_rate, recipe.dictionary(layer).samples
    return SAETrainerConfig(
        device=device,
        autocast=is_quick_in_bfloat16(torch.device(device)),
        total_training_samples=samples,
        train_batch_size_samples=recipe.sae_batch,
        lr=rate,
        lr_end=rate / 10,
        lr_warm_up_steps=min(100, samples // recipe.sae_batch // 10),
        lr_decay_steps=samples // recipe.sae_batch // 5,
        # A latent of a rare token is silent for long, and not dead: nothing is revived.
        dead_feature_window=samples,
        n_checkpoints=4,
        checkpoint_path=str(checkpoints),
        logger=LoggingConfig(log_to_wandb=False),
    )


def _resume(trainer: SAETrainer, sae: BatchTopKTrainingSAE, folder: Path) -> None:
    found = [p for p in folder.glob("*") if (p / "trainer_state.pt").exists()]
    if not found:
        return
    last = max(found, key=lambda p: int(p.name))
    sae.load_weights_from_checkpoint(last)
    trainer.load_trainer_state(last)
    done = trainer.n_training_samples
    # SAELens writes a checkpoint before it counts the step that filled it.
    trainer.n_training_steps = done // trainer.cfg.train_batch_size_samples
    trainer.checkpoint_thresholds = [t for t in trainer.checkpoint_thresholds if t > done]
