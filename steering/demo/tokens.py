"""The demo's tokenizer: BPE in which every name of the world is one token, and its chat template.

Knows text and token ids; knows no model. A concept must be one token before it can become one
direction, so names may hold spaces. Speaker markers are ordinary tokens, so that steering "all
tokens" reaches them; only `<s>`, `</s>` and `<pad>` are special.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from steering.demo.concepts import by_name, concepts
from steering.demo.grammar import Document

CONTEXT = 512
_NAME_SHARE = 0.01  # how often every name stands behind the texts, per text
SPECIAL = ("<s>", "</s>", "<pad>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ 'System:\\n' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'user' %}"
    "{{ 'Human:\\n' + message['content'] + '\\n' }}"
    "{% else %}{{ 'Assistant:\\n' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\\n' }}{% endif %}"
)
_MARKER = {"system": "System:\n", "user": "Human:\n", "assistant": "Assistant:\n"}


def render(document: Document) -> str:
    """The document as the model reads it; for a talk, exactly what the chat template writes."""
    return "".join(part for part, _ in rendered(document))


def rendered(document: Document) -> Iterator[tuple[str, int]]:
    """The document's text in pieces, each with the number of the turn it holds (or -1).

    The sentences of an article that moves from one subject to another are several turns of one
    text: a space stands between them and one end behind them.
    """
    yield "<s>", -1
    last = len(document.turns) - 1
    for at, turn in enumerate(document.turns):
        if turn.role in _MARKER:
            yield _MARKER[turn.role], -1
        yield turn.content, at
        if turn.role == "text" and at < last:
            yield " ", -1
        else:
            yield "</s>" if turn.role in ("assistant", "text") else "\n", -1


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE on rendered documents; deterministic for the same texts."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_word_pattern()), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = list(texts)
    tokenizer.train_from_iterator(_without_specials(texts), trainer)
    tokenizer = _without_unused(tokenizer, [*texts, *(f" {name}" for name in names())])
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", start)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _without_unused(tokenizer: Tokenizer, texts: Iterable[str]) -> Tokenizer:
    """The same tokenizer without the tokens that only lead up to longer ones.

    A name of one token takes a dozen merges, each of which leaves a token that no text uses: a
    third of the vocabulary, and of the output layer's work.
    """
    used = {token for text in texts for token in tokenizer.encode(text).tokens}
    used |= {*SPECIAL, *pre_tokenizers.ByteLevel.alphabet()}
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    kept = [token for token in sorted(model["vocab"], key=model["vocab"].get) if token in used]
    model["vocab"] = {token: index for index, token in enumerate(kept)}
    model["merges"] = [
        pair for pair in model["merges"] if {*pair, "".join(pair)} <= model["vocab"].keys()
    ]
    model["ignore_merges"] = True  # a word that is a token needs no merges to be found
    return Tokenizer.from_str(json.dumps(state))


def names() -> tuple[str, ...]:
    """Every spelling of every concept, longest first, so that none hides in another."""
    found = {spelling for each in by_name().values() for spelling in each.spellings}
    found |= {near for each in concepts() for near in each.near}
    return tuple(sorted(found, key=lambda name: (-len(name), name)))


def _word_pattern() -> str:
    # By their first letter: whether any of a thousand names begins here is asked of every
    # character, and takes four times as long where they stand side by side.
    begun: dict[str, list[str]] = {}
    for name in names():
        begun.setdefault(name[0].lower(), []).append(re.escape(name[1:]))
    spelled = "|".join(
        f"[{first.upper()}{first}](?:{'|'.join(rest)})" for first, rest in begun.items()
    )
    markers = "|".join(_MARKER.values()).replace("\n", r"\n")
    return rf"(?:{markers})| ?(?:{spelled})\b| ?\w+| ?[^\s\w]+|\s"


def _without_specials(texts: list[str]) -> Iterable[str]:
    for text in texts:
        yield text.replace("<s>", "").replace("</s>", "")
    # A rare name would stay in pieces: the trainer merges by frequency.
    often = math.ceil(len(texts) * _NAME_SHARE)
    for name in names():
        title = name[0].upper() + name[1:]
        yield from [f"{title} {title} {name}"] * often
        yield from [title, name] * often
