"""A language model as steering needs it: weights, tokenizer, chat template, and places to hook.

Transformers reads the weights and TransformerLens's TransformerBridge names the places. The bridge
replaces submodules in place and forces eager attention, which costs about a third of a decode step,
so it gets a twin that shares the parameters, and the pristine model decodes with plain hooks at the
same modules. This module knows no SAE and no steering.
"""

import copy
import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary

import torch
from jinja2 import TemplateError
from torch import nn
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from steering.detokenise import pieces
from steering.errors import HookNameError, LoadError, PromptError
from steering.hook_points import HookPoint
from steering.hub import explain_hub_failure
from steering.interventions import Message

PromptFormat = Literal["text", "chat_template", "chat_as_text"]


@dataclass(frozen=True)
class Site:
    """Where a hook point lies in the pristine model: before or after one module."""

    module: nn.Module
    side: Literal["in", "out"]

    @property
    def device(self) -> torch.device:
        """The device of the module's weights."""
        return next(self.module.parameters()).device


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt as tokens."""

    ids: tuple[int, ...]
    special: tuple[bool, ...]
    text: str
    format: PromptFormat


_LOCKS: "WeakKeyDictionary[nn.Module, threading.RLock]" = WeakKeyDictionary()
"""One for each Hugging Face model: hooks of two sessions on it must not meet in one pass."""


class LanguageModel:
    """A causal language model on one or more devices, never modified.

    Attributes:
        name: Hub id or folder, as given.
        hf: The pristine Hugging Face model that decodes.
        tokenizer: Its tokenizer.
    """

    def __init__(self, name: str, hf: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
        self.name = name
        self.hf = hf
        self.tokenizer = tokenizer
        self.lock = _LOCKS.setdefault(hf, threading.RLock())
        self._sites: dict[HookPoint, Site] = {}
        _refuse_unusable(name, hf)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        dtype: str | torch.dtype = torch.float32,
    ) -> Self:
        """Load from a hub id or a local Hugging Face folder; no remote code, safetensors only.

        Raises:
            LoadError: No such folder, or a folder without weights.
            HubError: The hub refused, has no such model, or is out of reach.
        """
        local = _is_model_folder(name)
        where = str(Path(name).expanduser()) if local else name
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        _check_device(place)
        with explain_hub_failure(f"model {name!r}", local=local):
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
            hf = AutoModelForCausalLM.from_pretrained(
                where,
                dtype=_dtype(dtype),
                device_map=device_map,
                trust_remote_code=False,
                use_safetensors=True,
            )
        if device_map is None:
            nn.Module.to(hf, place)
        return cls(name, hf.eval(), tokenizer)

    @classmethod
    def wrap(cls, hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Use a model that the caller loaded (quantised, dispatched); it is not modified."""
        return cls(hf_model.config.name_or_path or type(hf_model).__name__, hf_model, tokenizer)

    @cached_property
    def bridge(self) -> TransformerBridge:
        """TransformerLens's view of a twin that shares every parameter and buffer."""
        shared = [*self.hf.parameters(), *self.hf.buffers()]
        twin = copy.deepcopy(self.hf, {id(tensor): tensor for tensor in shared})
        tokenizer = copy.deepcopy(self.tokenizer)
        # The bridge never tokenises here; without this it would load the tokenizer a second time.
        tokenizer.init_kwargs.update(name_or_path=self.name, add_bos_token=True)
        return TransformerBridge.boot_transformers(
            self.name, hf_model=twin, tokenizer=tokenizer, dtype=self.dtype
        )

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.bridge.cfg.d_model)

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.bridge.cfg.n_layers)

    @property
    def n_ctx(self) -> int:
        """The longest row the model can read, in tokens."""
        return int(self.bridge.cfg.n_ctx)

    @property
    def device(self) -> torch.device:
        """Where token ids go in."""
        return self.hf.get_input_embeddings().weight.device  # type: ignore[union-attr]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the residual stream."""
        return self.hf.dtype

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """Every token that ends a text."""
        configured = getattr(self.hf.generation_config, "eos_token_id", None)
        several = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in [*several, self.tokenizer.eos_token_id] if i is not None)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Every special token, the chat template's included."""
        added = self.tokenizer.added_tokens_decoder.items()
        return frozenset(self.tokenizer.all_special_ids) | {i for i, t in added if t.special}

    def keep_logits(self, count: int) -> dict[str, int]:
        """What to call the model with for the logits of the last `count` tokens alone.

        Empty where the model cannot leave the others out.
        """
        return {"logits_to_keep": count} if self._keeps_logits else {}

    @cached_property
    def _keeps_logits(self) -> bool:
        return "logits_to_keep" in inspect.signature(self.hf.forward).parameters

    @property
    def has_chat_template(self) -> bool:
        """True where chats go through the tokenizer's own template."""
        return self.tokenizer.chat_template is not None

    def site(self, point: HookPoint) -> Site:
        """Find a hook point in the pristine model, as the bridge maps it.

        Raises:
            HookNameError: This model has no such place.
        """
        # Kept, since the bridge takes 5 ms to list its hooks and every decode step asks.
        if point not in self._sites:
            self._sites[point] = self._find_site(point)
        return self._sites[point]

    def _find_site(self, point: HookPoint) -> Site:
        hook = self.bridge.hook_dict.get(point.name) if point.layer < self.n_layers else None
        path, _, side = (hook.name or "").rpartition(".hook_") if hook is not None else ("",) * 3
        if side not in ("in", "out"):
            raise HookNameError(
                f"{point.name} does not exist in {self.name!r}, which has layers 0 to "
                f"{self.n_layers - 1}. Choose an SAE that was trained on this model."
            )
        module = self.hf.get_submodule(self.bridge.adapter.translate_transformer_lens_path(path))
        return Site(module, "in" if side == "in" else "out")

    def encode(
        self, prompt: str | Sequence[Message], *, prepend_bos: bool, room: int = 1
    ) -> EncodedPrompt:
        """Turn a text, or chat messages, into tokens.

        Args:
            prompt: Chats go through the tokenizer's template where it has one, else plain text.
            prepend_bos: Put the BOS token first unless it is there already (as after a template).
            room: How many tokens must still fit behind it.

        Raises:
            PromptError: Empty, or longer than the model's context.
        """
        text, how = (prompt, "text") if isinstance(prompt, str) else self._render(prompt)
        if not text.strip():
            raise PromptError("The prompt is empty. Write at least one word.")
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        bos = self.tokenizer.bos_token_id
        if prepend_bos and bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
        if len(ids) + room > self.n_ctx:
            raise PromptError(
                f"The prompt has {len(ids)} tokens, and {self.name!r} reads {self.n_ctx}"
                f"{', one of them new' if room else ''}. "
                f"Shorten it by at least {len(ids) + room - self.n_ctx} tokens."
            )
        return EncodedPrompt(tuple(ids), tuple(i in self.special_ids for i in ids), text, how)

    def _render(self, messages: Sequence[Message]) -> tuple[str, PromptFormat]:
        if not messages or not any(message.content.strip() for message in messages):
            raise PromptError("The chat has no message. Give at least one with role 'user'.")
        turns = [message.model_dump() for message in messages]
        if not self.has_chat_template:
            lines = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns]
            return "\n".join([*lines, "Assistant:"]), "chat_as_text"
        for attempt in (turns, _system_merged(turns)):
            try:
                text = self.tokenizer.apply_chat_template(
                    attempt, tokenize=False, add_generation_prompt=True
                )
            except TemplateError as error:
                refusal = error
            else:
                return str(text), "chat_template"
        raise PromptError(
            f"The chat template of {self.name!r} refuses these messages ({refusal}). "
            "Most templates want user and assistant turns in alternation, the user's first."
        )

    def describe(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "name": self.name,
            "d_model": self.d_model,
            "n_layers": self.n_layers,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
            "chat_template": self.has_chat_template,
        }

    def decode(self, ids: Sequence[int]) -> str:
        """Turn tokens into text, special tokens left out."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str), "one list of tokens is one text"
        return text

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """One readable piece for each token; those of ordinary tokens spell the decoded text.

        A special token shows its name, and a character that spans tokens belongs to the last.
        """
        ordinary = iter(pieces([i for i in ids if i not in self.special_ids], self.decode))
        return tuple(
            str(self.tokenizer.convert_ids_to_tokens(i))
            if i in self.special_ids
            else next(ordinary)
            for i in ids
        )


def _refuse_unusable(name: str, hf: PreTrainedModel) -> None:
    """Refuse what would decode wrongly and look right."""
    if hf.training:
        raise LoadError(f"{name!r} is in training mode (dropout). Call model.eval() first.")
    if "past_key_values" not in inspect.signature(hf.forward).parameters:
        raise LoadError(
            f"{type(hf).__name__} keeps no key-value cache, and decoding here needs one. "
            "Choose a transformer model."
        )
    if any(weight.is_meta for weight in hf.parameters()):
        raise LoadError(
            f"Parts of {name!r} are offloaded, and their weights are not on any device. Load it "
            "whole: a smaller dtype, a smaller model, or a device with more memory."
        )


def _system_merged(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same chat with the system line at the head of the first turn: Gemma's has no system."""
    if len(turns) < 2 or turns[0]["role"] != "system":
        return turns
    system, first, *rest = turns
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise LoadError(
            f"The device {device!r} cannot be used here: {str(error).splitlines()[0]} "
            "Use 'cpu', or leave the device out."
        ) from error


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise LoadError(f"{dtype!r} is no dtype. Use 'float32', 'bfloat16' or 'float16'.")
    return found


def _is_model_folder(name: str) -> bool:
    """Whether it is a folder; paths get their own errors, as transformers would ask the hub."""
    folder = Path(name).expanduser()
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if not folder.is_dir():
        if looks_like_path:
            raise LoadError(
                f"There is no folder {name!r}. Give a Hugging Face model folder or a hub id "
                "such as 'gpt2', or use the bundled model: Session.demo()."
            )
        return False
    if not any(folder.glob("*.safetensors")):
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise LoadError(
            f"The folder {name!r} holds no model weights (*.safetensors): it has {found}. "
            "Save the model there with save_pretrained()."
        )
    return True
