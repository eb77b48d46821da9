"""Features found by the words of their labels."""

import json

import pytest

from tests import tiny

LABELS = {
    0: {"label": "pushes towards praise", "target": "flattery"},
    1: {"label": "Praise and prayer"},
    2: {"label": "the Golden-Gate bridge"},
    3: {"label": "bridges"},
    4: {"label": "a bridge", "target": "fog"},
    5: {"label": "a bridge"},
    6: {},
    7: {"target": "bridge"},
}


def facts():
    from steering.features import FeatureFacts

    return {key: FeatureFacts(max_act=1.0, **known) for key, known in LABELS.items()}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("bridge", [4, 7, 2, 5, 3]),
        ("BRIDGE", [4, 7, 2, 5, 3]),
        ("bri", [4, 7, 2, 3, 5]),
        ("ridge", []),
        ("flat", [0]),
        ("pra", [0, 1]),
        ("praise flattery", [0]),
        ("pra pray", [1]),
        ("gate bridge", [2]),
        ("golden-gate", [2]),
        ("gate praise", []),
        ("", [0, 4, 7, 1, 2, 3, 5]),
    ],
)
def test_every_word_begins_a_word_and_whole_words_then_what_was_shown_come_first(words, found):
    from steering.features import search_labels

    assert search_labels(facts(), words) == found
    assert search_labels(facts(), words, limit=2) == found[:2]


def test_a_session_searches_all_its_saes_in_one_order(tmp_path):
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    saes = {}
    for alias, shown in (("a", None), ("b", "fog")):
        folder = tiny.tiny_sae_folder(tmp_path / alias)
        known = {"3": {"max_act": 1.0, "label": "bridge", "target": shown}}
        content = {"schema_version": 1, "features": known}
        (folder / "features.json").write_text(json.dumps(content))
        saes[alias] = Sae.load(folder)
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    session = Session(model, {**saes, "bare": tiny.sae()})
    assert session.search("bridge") == [("b", 3), ("a", 3)]
    assert session.search("bridge", limit=1) == [("b", 3)]
    assert session.search("rain") == []
