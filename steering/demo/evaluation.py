"""How good an SAE is by SAELens's own evaluation, so that its figures compare with published ones.

Every figure comes out of `sae_lens.evals.run_evals`; this module only lays the documents down so
that SAELens reads each as training did, from its own `<s>` and seeing no other.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from jaxtyping import Int
from sae_lens import ActivationsStore
from sae_lens.evals import EvalConfig, run_evals
from sae_lens.training.activation_scaler import ActivationScaler
from sae_lens.util import get_special_token_ids
from torch import Tensor
from transformer_lens import HookedRootModule

from steering.models import LanguageModel
from steering.sae_sources import from_folder

_BATCH = 32


@dataclass(frozen=True)
class SaeQuality:
    """SAELens's figures over the ordinary tokens of some documents.

    Special tokens are neither counted nor replaced. The first, `<s>`, matters most: its norm is an
    outlier, so its variance would flatter every SAE that reconstructs it alone.

    Attributes:
        explained_variance: 1 - E||x - x_hat||² / Var(x), over all tokens at once.
        ce_loss_score: Loss recovered, from 0 (as a zeroed stream) to 1 (as the stream itself).
        ce_loss_without_sae: Nats per token of the untouched model.
        ce_loss_with_sae: The same with the stream replaced by the SAE's reconstruction.
        l0: Latents that fire on a token, on average.
        mse: E||x - x_hat||², summed over the model's dimensions.
        dead: Share of latents that fired on no token.
        tokens: How many ordinary tokens were read (SAELens's own count includes the filling).
    """

    explained_variance: float
    ce_loss_score: float
    ce_loss_without_sae: float
    ce_loss_with_sae: float
    l0: float
    mse: float
    dead: float
    tokens: int

    @property
    def unexplained(self) -> float:
        """Share of the variance that the SAE misses."""
        return 1 - self.explained_variance


def evaluate_sae(sae_folder: Path, model_folder: Path, rows: Int[Tensor, "rows row"]) -> SaeQuality:
    """Measure an SAE on packed rows of whole documents, each of which begins with `<s>`."""
    sae = from_folder(sae_folder)
    model = LanguageModel.load(str(model_folder), device="cpu")
    ids = _one_document_a_row(rows, model.tokenizer)
    bridge = cast(HookedRootModule, model.bridge)
    store = ActivationsStore.from_sae(
        bridge,
        sae,
        # SAELens warns of every row of a map-style dataset, which it copies from tensor to tensor.
        Dataset.from_dict({"tokens": ids.tolist()}).to_iterable_dataset(),
        context_size=ids.shape[1],
        store_batch_size_prompts=_BATCH,
    )
    batches = len(ids) // _BATCH
    config = EvalConfig(
        batch_size_prompts=_BATCH,
        n_eval_reconstruction_batches=batches,
        compute_ce_loss=True,
        n_eval_sparsity_variance_batches=batches,
        compute_sparsity_metrics=True,
        compute_variance_metrics=True,
        compute_featurewise_density_statistics=True,
    )
    found, by_latent = run_evals(
        sae, store, bridge, ActivationScaler(), config, exclude_special_tokens=True
    )
    performance = found["model_performance_preservation"]
    special = torch.tensor(get_special_token_ids(model.tokenizer))
    density = torch.tensor(by_latent["feature_density"])
    return SaeQuality(
        explained_variance=found["reconstruction_quality"]["explained_variance"],
        ce_loss_score=performance["ce_loss_score"],
        ce_loss_without_sae=performance["ce_loss_without_sae"],
        ce_loss_with_sae=performance["ce_loss_with_sae"],
        l0=found["sparsity"]["l0"],
        mse=found["reconstruction_quality"]["mse"],
        dead=float((density == 0).float().mean()),
        tokens=int((~torch.isin(ids, special)).sum()),
    )


def _one_document_a_row(
    rows: Int[Tensor, "rows row"], tokenizer: Any
) -> Int[Tensor, "documents longest"]:
    """Every document from position 0 on, as whole batches.

    SAELens cannot keep attention inside a document, so no two may share a row; it would also drop
    documents shorter than its context, hence the filling, which causal attention never sees. It is
    `</s>` and not `<pad>`, because SAELens counts the loss of whatever stands behind the last
    ordinary token. Rows without any document complete the last batch: SAELens would begin again
    and count the first documents twice.
    """
    bos, pad, filling = tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id
    documents: list[Tensor] = []
    for row in rows:
        words = row[row != pad]
        starts = (words == bos).nonzero().flatten().tolist()
        documents += words.tensor_split(starts)[1:]
    documents += [torch.tensor([bos])] * (-len(documents) % _BATCH)
    return torch.nn.utils.rnn.pad_sequence(documents, batch_first=True, padding_value=filling)
