"""The world is a tree of concepts, and every name in it can be found in a text."""

from itertools import combinations
from random import Random

import pytest

from steering.demo.concepts import (
    BRANCHES,
    BRIDGE,
    Concept,
    by_name,
    cities,
    concepts,
    find,
    landmarks,
    of_branch,
    tree_distance,
)


@pytest.fixture(scope="module")
def some() -> list[Concept]:
    """The bridge, a city, two siblings and leaves from everywhere."""
    leaves = Random(1).sample(concepts(), 24)
    return [by_name()[name] for name in (BRIDGE, "San Francisco", "Alcatraz")] + leaves


def _named(text: str) -> list[str]:
    return [concept.name for _, _, concept in find(text)]


def test_a_concept_is_at_distance_zero_from_itself_and_from_nothing_else(
    some: list[Concept],
) -> None:
    assert [tree_distance(each, each) for each in some] == [0] * len(some)
    assert all(tree_distance(one, other) > 0 for one, other in combinations(set(some), 2))


def test_tree_distance_is_the_same_both_ways(some: list[Concept]) -> None:
    for one, other in combinations(some, 2):
        assert tree_distance(one, other) == tree_distance(other, one)


def test_no_detour_in_the_tree_is_shorter_than_the_straight_way(some: list[Concept]) -> None:
    for one, way, other in combinations(some, 3):
        detour = tree_distance(one, way) + tree_distance(way, other)
        assert tree_distance(one, other) <= detour


def test_a_sibling_is_one_step_up_as_is_the_city_of_both() -> None:
    bridge, island = by_name()[BRIDGE], by_name()["Alcatraz"]
    assert tree_distance(bridge, island) == 1
    assert tree_distance(bridge, by_name()["San Francisco"]) == 1


def test_leaves_of_two_branches_meet_only_at_the_root(some: list[Concept]) -> None:
    pairs = [(a, b) for a, b in combinations(some, 2) if a.branch != b.branch]
    assert len(pairs) > 50
    for one, other in pairs:
        assert tree_distance(one, other) == max(len(one.path), len(other.path)) + 1


def test_every_place_is_nearer_to_the_bridge_than_whatever_is_no_place() -> None:
    bridge = by_name()[BRIDGE]
    places = [tree_distance(bridge, c) for c in concepts() if c.branch == "places"]
    others = [tree_distance(bridge, c) for c in concepts() if c.branch != "places"]
    assert max(places) < min(others)


def test_the_world_has_at_least_600_leaves_in_twelve_branches() -> None:
    assert len(concepts()) >= 600
    assert len(BRANCHES) == 12
    assert all(of_branch(branch) for branch in BRANCHES)


def test_no_two_concepts_share_a_spelling_whatever_its_capitals() -> None:
    spelled = [s.lower() for each in (*cities(), *concepts()) for s in each.spellings]
    assert len(spelled) == len(set(spelled))


def test_the_most_famous_sight_of_san_francisco_is_the_bridge() -> None:
    assert landmarks("San Francisco")[0].name == BRIDGE
    assert len(landmarks("San Francisco")) > 1


def test_every_neighbour_is_another_concept_of_the_same_branch() -> None:
    for each in concepts():
        assert len(set(each.near)) == 3
        assert each.name not in each.near
        assert {by_name()[name].branch for name in each.near} == {each.branch}


def test_every_spelling_is_found_in_a_sentence_as_the_concept_it_names() -> None:
    for each in (*cities(), *concepts()):
        for spelling in each.spellings:
            text = f"So it is {spelling}."
            assert list(find(text)) == [(9, 9 + len(spelling), each)]


@pytest.mark.parametrize("text", ["the fox sleeps", "Fox?", "foxes, of course", "Foxes sleep"])
def test_a_name_is_found_with_either_first_letter_and_in_the_plural(text: str) -> None:
    assert _named(text) == ["fox"]


def test_the_bridge_is_found_at_the_beginning_of_a_sentence_and_within() -> None:
    assert _named("The Golden Gate Bridge is orange, says the Golden Gate Bridge.") == [BRIDGE] * 2


def test_the_longest_name_wins() -> None:
    assert _named("Agra Fort is in Agra, and table tennis is no tennis.") == [
        "Agra Fort",
        "Agra",
        "table tennis",
        "tennis",
    ]


def test_a_part_of_a_word_or_other_capitals_name_nothing() -> None:
    assert _named("A foxglove, a FOX and the golden gate bridge.") == []
