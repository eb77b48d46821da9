"""What each of the processes that train together does in a test; imported anew in each."""

from pathlib import Path

import torch

from steering.demo import language_model
from steering.demo.corpus import load_or_build_corpus
from steering.demo.optimizers import new_optimizers
from steering.demo.recipe import Recipe
from steering.demo.training_step import answer_token, train_step

_BROKEN = 4  # steps, after which a checkpoint is written


def break_off_and_resume(rank: int, recipe: Recipe, work: Path, folder: Path) -> None:
    """Keep the weights of an unbroken run, and of one that goes on from a checkpoint of it."""
    file = folder / "checkpoint.pt"
    with language_model._team(rank, recipe, folder):
        tokenizer, rows, _ = load_or_build_corpus(recipe, work)
        for name in ("unbroken", "resumed"):
            model = language_model._new_model(recipe, tokenizer)
            optimizers = new_optimizers(model, recipe)
            answer = answer_token(tokenizer)
            first = language_model._restore(file, model, optimizers)
            assert first == (_BROKEN if name == "resumed" else 0)
            for step in range(first, recipe.steps):
                train_step(recipe, model, optimizers, rows, answer, step, rank)
                if step + 1 == _BROKEN and name == "unbroken":
                    language_model._save(file, model, optimizers, step + 1, rank)
            torch.save(model.state_dict(), folder / f"{name}.{rank}.pt")
            torch.distributed.barrier()  # the checkpoint is written by one of them
