"""Search: by stems, beginnings and near spellings of labels, and by promoted tokens."""

import pytest

from tests import tiny
from tests.atlas import made

LABELS = {
    0: "the Golden Gate bridge",
    1: "bridges and tunnels",
    2: "flattery, praise without reason",
    3: "universities and colleges",
    4: "café culture",
    5: "running water",
    6: "inner conflict",
}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    from steering.atlas.labels import Label, add_labels, set_label
    from steering.atlas.store import Atlas

    atlas = Atlas.create(tmp_path_factory.mktemp("atlas") / "a.sqlite", tiny.sae())
    add_labels(atlas, [Label(f, text, "file", 0.5) for f, text in LABELS.items()])
    add_labels(atlas, [Label(0, "a suspension bridge", "other", 0.9)])
    set_label(atlas, 6, "a quarrel with oneself")
    return atlas


def found(atlas, words, **options):
    from steering.atlas.search import search

    return [each.feature for each in search(atlas, words, **options)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bridge", {0, 1}),
        ("BRIDGES", {0, 1}),
        ("golden bridge", {0}),
        ("golden tunnels", set()),
        ("bri", {0, 1}),
        ("flatter", {2}),
        ("universi", {3}),
        ("university", {3}),
        ("cafe", {4}),
        ("run", {5}),
        ("conflict", {6}),
        ("quarrel", {6}),
        ("brigde", {0, 1}),
        ("bridgge", {0, 1}),
        ("gaet", {0}),
        ("univresities", {3}),
        ("goldn brdge", {0}),
        ("zzzzz", set()),
        ('"; DROP TABLE labels; --', set()),
        ("bridge*", {0, 1}),
        ("NEAR", set()),
    ],
)
def test_a_label_is_found_by_stem_beginning_and_near_spelling(atlas, words, expected):
    assert set(found(atlas, words)) == expected


def test_a_label_counts_once_and_the_best_one_is_shown(atlas):
    from steering.atlas.search import search

    (hit,) = search(atlas, "golden gate")
    assert (hit.label, hit.source, hit.score) == ("a suspension bridge", "other", 0.9)
    assert hit.why == "the Golden Gate bridge"
    assert len(found(atlas, "bridge", limit=1)) == 1
    assert hit.to_dict()["feature"] == 0


def test_a_near_spelling_says_what_it_took_the_word_for(atlas):
    from steering.atlas.search import search

    (hit, *_) = search(atlas, "brigde")
    assert hit.why.startswith("“bridge” for “brigde”: ")
    assert search(atlas, "brigde", mend=False) == []


def test_a_word_of_three_letters_is_not_taken_for_another(atlas):
    from steering.atlas.labels import Label, add_labels

    add_labels(atlas, [Label(8, "dom", "file")])
    assert found(atlas, "dom") == [8]
    assert found(atlas, "dog") == []


def test_a_label_is_found_by_its_own_letters(atlas):
    from steering.atlas.labels import Label, add_labels

    add_labels(atlas, [Label(8, "die Straße", "file")])
    assert found(atlas, "STRAßE") == found(atlas, "Straße") == [8]


def test_words_are_needed(atlas):
    from steering.atlas.search import search, search_promoted
    from steering.errors import AtlasError

    for ask in (search, search_promoted):
        with pytest.raises(AtlasError, match="at least one"):
            ask(atlas, "  ")


def test_a_label_that_is_taken_back_is_not_found(atlas):
    from steering.atlas.labels import set_label

    set_label(atlas, 9, "a lighthouse")
    assert found(atlas, "lighthouse") == [9]
    set_label(atlas, 9, "a zeppelin")
    assert found(atlas, "lighthouse") == []
    assert found(atlas, "zeppelin") == [9]
    set_label(atlas, 9, "")
    assert found(atlas, "zeppelin") == []


def test_a_typing_error_that_was_once_a_label_is_mended_all_the_same(atlas):
    from steering.atlas.labels import set_label

    set_label(atlas, 9, "marmelade jars")
    set_label(atlas, 9, "marmalade jars")
    assert found(atlas, "marmelade") == [9]
    set_label(atlas, 9, "")


def test_features_are_found_by_the_tokens_they_promote(tmp_path):
    from steering.atlas.cards import show
    from steering.atlas.search import search_promoted

    atlas = made.build(tmp_path / "a.sqlite", made.text_file(tmp_path))
    hits = search_promoted(atlas, "Bridge")
    gains = []
    for hit in hits:
        promoted = {each.text.strip(): each.gain for each in show(atlas, hit.feature).promoted}
        gains.append(promoted["bridge"])
        assert hit.why == "promotes 'bridge'"
    assert gains == sorted(gains, reverse=True)
    assert len(gains) > 3
    both = search_promoted(atlas, "bridge sea", limit=5)
    assert both[0].why == "promotes 'bridge', 'sea'"
    assert {each.feature for each in search_promoted(atlas, "brid", limit=64)} == {
        each.feature for each in search_promoted(atlas, "bridge", limit=64)
    }
    assert {each.feature for each in search_promoted(atlas, "ridg", limit=64)} == {
        each.feature for each in search_promoted(atlas, "bridge", limit=64)
    }
    assert search_promoted(atlas, "absent") == []
    assert search_promoted(atlas, "100%_") == []


def test_what_tokens_suggest_comes_behind_what_somebody_said(tmp_path):
    from steering.atlas.labels import EVIDENCE, Label, add_labels
    from steering.atlas.search import search
    from steering.atlas.store import Atlas

    atlas = Atlas.create(tmp_path / "a.sqlite", tiny.sae())
    given = [
        Label(3, "bridge", EVIDENCE, 1.0),
        Label(4, "a long label that has a bridge in it somewhere", "file"),
    ]
    add_labels(atlas, given)
    assert [each.feature for each in search(atlas, "bridge")] == [4, 3]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("bridge", "bridge", 0),
        ("brigde", "bridge", 1),
        ("gaet", "gate", 1),
        ("brdge", "bridge", 1),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_swapped_neighbours_are_one_mistake(one, other, distance):
    from steering.atlas.search import edit_distance

    assert edit_distance(one, other) == edit_distance(other, one) == distance
