"""A concept has to be one token before it can become one direction."""

from itertools import islice

import pytest
from transformers import PreTrainedTokenizerFast

from steering.demo.concepts import by_name
from steering.demo.grammar import documents
from steering.demo.recipe import SHIPPED
from steering.demo.tokens import build_tokenizer, render, rendered


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """As large as the recipe's, from fewer documents: names are counted in whatever they are."""
    return build_tokenizer((render(d) for d in documents(3, 4_000)), SHIPPED.vocabulary)


def test_every_name_of_the_world_is_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    split = [
        spelling
        for concept in by_name().values()
        for spelling in concept.spellings
        if len(tokenizer(f" {spelling}", add_special_tokens=False)["input_ids"]) > 1
    ]
    assert split == []


def test_a_document_comes_back_from_its_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    for document in islice(documents(4, 200), 200):
        text = render(document)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text


def test_the_pieces_of_a_document_are_its_text_and_name_each_turn_once() -> None:
    for document in documents(5, 200):
        pieces = list(rendered(document))
        assert "".join(piece for piece, _ in pieces) == render(document)
        held = [turn for _, turn in pieces if turn >= 0]
        assert held == list(range(len(document.turns)))
        assert render(document).endswith("</s>")
