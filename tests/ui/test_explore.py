"""What the Explore tab shows of features, with an atlas and without one."""

import pytest

from tests import tiny
from tests.atlas import made
from tests.ui.pages import PROMPT, host

HOSTILE = "<img src=x onerror=alert(1)> </script> bridge"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page over a tiny model whose SAE has no atlas yet."""
    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path / "own")
    return host()


@pytest.fixture
def built(page, tmp_path):
    """The same with an atlas built from a small text."""
    from steering.atlas.places import own_path

    sae = page.session.saes["sae"]
    made.build(own_path(sae), made.text_file(tmp_path), sae)
    return page


def atlas_of(page):
    atlas = page.session.atlas("sae")
    assert atlas is not None
    return atlas


def busiest(page):
    """The feature that fires most often."""
    return atlas_of(page).one("SELECT feature FROM stats ORDER BY fired DESC")[0]


def find(page, words, way, other=""):
    """What a search on the page shows."""
    from ui.explore import finding

    return finding.find(page, "sae", finding.Asked(words, way, other))


def test_a_second_text_whose_box_was_never_shown_is_empty():
    from ui.explore.finding import Asked

    assert Asked("bridge", "label", None).complete
    assert not Asked("bridge", "contrast", None).complete


def test_how_often_a_feature_fires_is_what_the_atlas_counted_as_on_its_card(built, monkeypatch):
    from steering.atlas.labels import set_label
    from steering.features import FeatureFacts

    atlas, silent = atlas_of(built), busiest(built)
    with atlas.writing() as db:
        db.many("UPDATE stats SET density = 0 WHERE feature = ?", [(silent,)])
    facts = {silent: FeatureFacts(max_act=2.0, density=0.25, label="a hidden bay")}
    monkeypatch.setattr(built.session.saes["sae"], "facts", facts)
    set_label(atlas, silent, "a hidden bay")
    (row,) = rows(find(built, "hidden bay", "label"))
    assert (row["feature"], row["density"]) == (silent, "0 %")


def rows(table):
    return [row for group in table["groups"] for row in group["rows"]]


def test_a_row_has_what_helps_to_choose(built):
    from steering.atlas.cards import show
    from steering.atlas.labels import Label, add_labels

    feature, atlas = busiest(built), atlas_of(built)
    add_labels(atlas, [Label(feature, HOSTILE, "elsewhere", 0.75)])
    with atlas.writing() as db:
        db.run("INSERT INTO scores VALUES (?, ?)", (feature, 0.5))
    (row,) = rows(find(built, "bridge", "label"))
    assert (row["sae"], row["feature"], row["name"]) == ("sae", feature, f"#{feature}")
    assert (row["label"], row["score"], row["source"]) == (HOSTILE, "0.75", "elsewhere")
    assert row["density"] == f"{100 * show(atlas, feature).density:.2g} %"
    assert (row["badge"]["text"], row["badge"]["tone"]) == ("top 100 %", "strong")
    assert row["badge"]["title"].startswith("output score 0.5: adding it moves the text strongly")
    assert max(row["spark"]) == 100
    assert row["why"] == ""


def test_a_table_says_when_nothing_was_found(built):

    table = find(built, "xylophone", "label")
    assert rows(table) == []
    assert table["title"].startswith("Nothing found for “xylophone”")


@pytest.mark.parametrize("way", ["label", "meaning", "token", "text", "contrast", "phrase"])
def test_an_empty_search_says_what_to_write(built, way):
    from steering.errors import AtlasError
    from ui.explore.finding import WAYS

    assert way in WAYS
    with pytest.raises(AtlasError, match="nothing to search for"):
        find(built, "  ", way)


def test_features_are_found_by_the_tokens_they_promote(built):
    from steering.atlas.search import search_promoted

    found = search_promoted(atlas_of(built), "bridge", 30)
    shown = rows(find(built, "bridge", "token"))
    assert [row["feature"] for row in shown] == [each.feature for each in found] != []
    assert all("'bridge'" in row["why"] for row in shown)


def test_a_text_finds_features_by_effect_and_by_activation(built):
    from steering.atlas.firing import active
    from ui.explore.finding import MOST_OF_A_RANK

    session = built.session
    text = session.model.encode(PROMPT, prepend_bos=session.prepend_bos, room=0)
    seen = active(session.model, session.saes["sae"], text, limit=MOST_OF_A_RANK)
    effect, activation = find(built, PROMPT, "text")["groups"]
    assert repr(seen.target) in effect["title"]
    for group, ranked in ((effect, seen.by_attribution), (activation, seen.by_activation)):
        assert [row["feature"] for row in group["rows"]] == [each.feature for each in ranked]
    assert f"{seen.by_activation[0].activation:.3g}" in activation["rows"][0]["why"]


def test_two_texts_find_what_each_has_more_of(built):
    from steering.atlas.firing import contrast
    from steering.errors import AtlasError
    from ui.explore.finding import MOST_OF_A_RANK

    session, other = built.session, "we walk over the sea"
    texts = [
        session.model.encode(text, prepend_bos=session.prepend_bos, room=0)
        for text in (PROMPT, other)
    ]
    found = contrast(session.model, session.saes["sae"], *texts, limit=MOST_OF_A_RANK)
    table = find(built, PROMPT, "contrast", other)
    assert f"“{PROMPT}” against “{other}”" in table["title"]
    for shown, side in zip(table["groups"], (found.first, found.second), strict=True):
        assert [row["feature"] for row in shown["rows"]] == [each.feature for each in side] != []
        assert f"{side[0].first:.3g} in the first" in shown["rows"][0]["why"]
    assert rows(find(built, PROMPT, "contrast", PROMPT)) == []
    with pytest.raises(AtlasError, match="Paste two texts"):
        find(built, PROMPT, "contrast")


def test_meaning_is_searched_where_labels_have_vectors_and_a_model_is_there(built, monkeypatch):
    import numpy as np

    from steering.atlas import meaning
    from steering.atlas.labels import Label, add_labels
    from ui.explore.finding import open_ways

    def encode(texts):
        return np.array([[1.0, 0.0] if "fog" in text else [0.6, 0.8] for text in texts], np.float32)

    atlas, loaded = atlas_of(built), []
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    monkeypatch.setattr(meaning, "sentence_encoder", lambda name: loaded.append(name) or encode)
    add_labels(atlas, [Label(3, "fog", "elsewhere"), Label(4, "a bridge", "elsewhere")])
    ways, why = open_ways(built, "sae")
    assert "meaning" not in ways
    assert "steer atlas embed" in (why or "")
    meaning.embed_labels(atlas, encode, "stand-in")
    ways, why = open_ways(built, "sae")
    assert "meaning" not in ways
    assert "[embed]" in (why or "")
    monkeypatch.setattr(meaning, "find_spec", lambda name: name)
    ways, why = open_ways(built, "sae")
    assert (ways["meaning"], why) == ("What its label means", None)
    shown = []
    for _ in range(2):
        shown = rows(find(built, "fog over the bay", "meaning"))
        assert [row["feature"] for row in shown] == [3, 4]
    assert "cosine 0.60" in shown[1]["why"]
    assert loaded == ["stand-in"]


def test_a_suggestion_goes_into_the_rack_with_its_strength(built):
    from steering.atlas.labels import set_label
    from steering.atlas.suggest import suggest
    from ui.rack import picked_intervention

    set_label(atlas_of(built), busiest(built), "red bridges")
    asked = suggest(atlas_of(built), "red bridges", limit=1)[0].intervention
    row = rows(find(built, "red bridges", "phrase"))[0]
    assert picked_intervention(built.session, row) == asked
    assert row["amount"] == f"clamp {asked.strength:g} × norm"


def test_without_an_atlas_labels_and_texts_still_find_features(page, monkeypatch):
    from steering.errors import AtlasError
    from steering.features import FeatureFacts

    facts = {3: FeatureFacts(max_act=2.0, label=HOSTILE)}
    monkeypatch.setattr(page.session.saes["sae"], "facts", facts)
    (row,) = rows(find(page, "bridge", "label"))
    assert (row["feature"], row["label"], row["density"], row["spark"]) == (3, HOSTILE, None, [])
    assert rows(find(page, PROMPT, "text")) != []
    for way in ("meaning", "token", "phrase"):
        with pytest.raises(AtlasError, match="steer atlas build"):
            find(page, "bridge", way)


@pytest.mark.parametrize(
    ("score", "text", "tone"),
    [
        (1.0, "top 20 %", "strong"),
        (0.3, "bottom 40 %", "some"),
        (0.001, "weak, bottom 20 %", "weak"),
    ],
)
def test_a_badge_says_where_a_score_stands_also_where_nearly_all_are_strong(
    tmp_path, score, text, tone
):
    from steering.atlas.steerability import standing, steerability
    from steering.atlas.store import Atlas
    from ui.feature_lines import steers

    with Atlas.create(tmp_path / "a.sqlite", tiny.sae()) as atlas:
        with atlas.writing() as db:
            db.many("INSERT INTO scores VALUES (?, ?)", enumerate([0.001, 0.3, 0.5, 0.7, 1.0]))
        badge = steers(score, steerability(score), standing(atlas, score))
        assert badge is not None
        assert (badge["text"], badge["tone"]) == (text, tone)
        assert badge["title"].startswith(f"output score {score:g}: ")
    assert steers(None, None, None) is None


def test_bars_lose_no_count_and_stand_side_by_side():
    from steering.atlas.cards import Histogram
    from ui.explore.table import bars

    counts = (5, 0, 3, 900, 1, 1, 2)
    edges = tuple(float(edge) for edge in range(len(counts) + 1))
    for most in (1, 2, 3, 7, 40):
        shown = bars(Histogram(edges, counts), most)
        assert len(shown) <= most
        assert sum(count for *_, count in shown) == sum(counts)
        assert [low for _, low, _, _ in shown][1:] == [high for _, _, high, _ in shown][:-1]
        assert (shown[0][1], shown[-1][2]) == (0.0, 7.0)
        assert max(level for level, *_ in shown) == 100
    assert bars(Histogram((), ()), 16) == []


def test_a_card_shows_what_the_atlas_knows(built):
    from steering.atlas.cards import examples, samples, show
    from ui.explore.card import card_of

    feature, atlas = busiest(built), atlas_of(built)
    known, view = show(atlas, feature), card_of(built, "sae", feature)
    assert view["known"]
    assert dict(view["facts"])["max act"] == f"{known.max_act:.4g}"
    facts = dict(view["facts"])
    assert facts["decoder norm"] == f"{known.decoder_norm:.4g}"
    shown = facts["median / 90 % / 99 % where it fires"].split(" / ")
    assert shown == [f"{known.quantiles[share]:.3g}" for share in (0.5, 0.9, 0.99)]
    best = examples(atlas, feature)
    assert [each["at"] for each in view["examples"]] == [each.at for each in best]
    top = view["examples"][0]
    assert top["pieces"][top["at"]] == [best[0].pieces[best[0].at], pytest.approx(1, abs=2e-3)]
    assert all(share <= 1.001 for each in view["examples"] for _, share in each["pieces"])
    assert len(view["tenths"]) == len({each.tenth for each in samples(atlas, feature)})
    assert [token for token, _ in view["promoted"]] == [each.text for each in known.promoted]
    assert [token for token, _ in view["demoted"]] == [each.text for each in known.demoted]


def test_a_card_walks_to_the_nearest_directions(page):
    from ui.explore.around import AT_FIRST
    from ui.explore.card import card_of

    view = card_of(page, "sae", 3)
    near = view["near"]
    shown = [each for ring in near["rings"] for each in ring["neighbours"]]
    found = page.session.neighbours(3, count=tiny.D_SAE)
    assert near["beyond"] is None
    inside = [each for each in found if 1 - each.cosine <= 1]
    assert [each["feature"] for each in shown] == [each.feature for each in inside]
    sighted = [each for each in shown if 1 - each["cosine"] <= near["radius"] + 1e-9]
    assert len(sighted) >= min(AT_FIRST, len(shown))
    assert not view["known"]
    assert view["together"]["partners"] == []


def test_a_card_says_how_far_the_bound_lets_it_see(page, monkeypatch):
    from ui.explore import around
    from ui.explore.card import card_of

    monkeypatch.setattr(around, "NEIGHBOURS", 5)
    near = card_of(page, "sae", 3)["near"]
    found = page.session.neighbours(3, count=6)
    shown = [each["feature"] for ring in near["rings"] for each in ring["neighbours"]]
    assert shown == [each.feature for each in found[:5]]
    assert near["beyond"] == pytest.approx(1 - found[5].cosine, abs=1e-3)
    assert near["features"] == str(tiny.D_SAE)


def test_a_card_shows_what_fires_together_though_it_points_elsewhere(built):
    from steering.atlas.labels import set_label
    from steering.atlas.together import together
    from ui.explore.card import card_of

    feature, atlas = busiest(built), atlas_of(built)
    found = together(atlas, built.session.saes["sae"], feature)
    set_label(atlas, found[0].feature, HOSTILE)
    shown = card_of(built, "sae", feature)["together"]
    assert [each["feature"] for each in shown["partners"]] == [each.feature for each in found] != []
    first = shown["partners"][0]
    assert (first["label"], first["cosine"]) == (HOSTILE, round(found[0].cosine, 3))
    assert first["share"] == f"{100 * found[0].share:.0f} %"
    assert [each["apart"] for each in shown["partners"]] == [each.apart for each in found]
    apart = sum(each.apart for each in found)
    assert 0 < apart < len(found)
    assert shown["note"].startswith(f"{apart} of {len(found)} point elsewhere")


def test_neighbours_say_how_much_they_fire_together(built):
    from steering.atlas.together import together
    from ui.explore.card import card_of

    feature = busiest(built)
    partners = together(atlas_of(built), built.session.saes["sae"], feature)
    closeness = {each.feature: f"{each.closeness:.2f}" for each in partners}
    near = card_of(built, "sae", feature)["near"]
    shown = {each["feature"]: each["together"] for r in near["rings"] for each in r["neighbours"]}
    assert near["most_together"] == len(partners)
    assert shown == {each: closeness.get(each) for each in shown}
    assert None in shown.values()
    assert any(shown.values())


def test_a_card_of_no_feature_is_refused(page):
    from steering.errors import FeatureError
    from ui.explore.card import card_of

    with pytest.raises(FeatureError, match="features 0 to"):
        card_of(page, "sae", tiny.D_SAE)


def test_a_card_links_to_neuronpedia_where_the_sae_has_an_address_there(page):
    from steering.session import Session
    from ui.explore.card import card_of

    assert card_of(page, "sae", 3)["neuronpedia"] is None
    sae = tiny.sae(metadata={"neuronpedia_id": 'gpt2-small/8-"res'})
    other = host(Session(page.session.model, {"sae": sae}))
    address = "https://www.neuronpedia.org/gpt2-small/8-%22res/3"
    assert card_of(other, "sae", 3)["neuronpedia"] == address


def test_a_persons_own_label_wins_everywhere_and_can_be_taken_back(built):
    from steering.atlas.labels import Label, add_labels, labels
    from ui.explore.card import card_of, rename
    from ui.explore.table import relabelled
    from ui.rack import label_of

    feature = busiest(built)
    add_labels(atlas_of(built), [Label(feature, "fog over the bay", "elsewhere", 0.9)])
    table = find(built, "fog", "label")
    rename(built, "sae", feature, f"  {HOSTILE} ")
    view = card_of(built, "sae", feature)
    assert (view["label"], view["own"]) == (HOSTILE, HOSTILE)
    assert [each["source"] for each in view["labels"]] == ["person", "elsewhere"]
    assert label_of(built.session, "sae", feature) == HOSTILE
    assert rows(find(built, "bridge", "label"))[0]["label"] == HOSTILE
    named = rows(relabelled(table, "sae", feature, HOSTILE))[0]
    assert (named["label"], named["score"]) == (HOSTILE, None)
    rename(built, "sae", feature, "")
    assert card_of(built, "sae", feature)["label"] == "fog over the bay"
    assert [each.source for each in labels(atlas_of(built), feature)] == ["elsewhere"]


def test_a_label_begins_an_atlas_where_there_is_none(page):
    from ui.explore.building import notice
    from ui.explore.card import rename
    from ui.rack import row_of

    rename(page, "sae", 5, "mine")
    edit = tiny.intervention(5, strength=1.0, unit="raw")
    assert row_of(page.session, edit)["label"] == "mine"
    assert notice(page, "sae")["kind"] == "missing"  # of statistics


def test_a_label_that_is_too_long_is_refused(page):
    from steering.errors import AtlasError
    from ui.explore.card import LONGEST_LABEL, rename

    with pytest.raises(AtlasError, match="Shorten it"):
        rename(page, "sae", 5, "x" * (LONGEST_LABEL + 1))


def test_trying_writes_every_strength_in_one_batch(page, monkeypatch):
    from ui.explore.trying import STRENGTHS, TOKENS, attempt

    asked, stream = [], page.session.stream
    monkeypatch.setattr(page.session, "stream", lambda *a, **k: asked.append(a) or stream(*a, **k))
    *_, last = attempt(page, "sae", 3, PROMPT, "somebody")
    assert len(asked) == 1
    assert asked[0][2].max_new_tokens == TOKENS
    assert last["phase"] == "done"
    unsteered, *steered = last["cells"]
    assert (unsteered["title"], unsteered["intervention"]) == ("unsteered", None)
    got = [(each["intervention"]["strength"], each["intervention"]["unit"]) for each in steered]
    assert got == [(strength, "norm") for strength in STRENGTHS]
    assert steered[-1]["text"] != unsteered["text"]
    ratios = [each["ratio"] for each in steered]
    assert ratios[0] < ratios[-1]
    assert page.line.length == 0


def test_a_tried_strength_goes_into_the_rack(page):
    from ui.explore.trying import attempt
    from ui.rack import picked_intervention

    *_, last = attempt(page, "sae", 3, PROMPT, None)
    picked = picked_intervention(page.session, {"sae": "sae", "feature": 3, **last["cells"][2]})
    assert (picked.feature, picked.strength, picked.unit) == (3, 0.25, "norm")


@pytest.mark.parametrize(("feature", "text"), [(3, " "), (3, "the " * 99), (tiny.D_SAE, PROMPT)])
def test_what_cannot_be_tried_is_refused_and_leaves_the_line(page, feature, text):
    from steering.errors import SteeringError
    from ui.explore.trying import attempt

    with pytest.raises(SteeringError):
        list(attempt(page, "sae", feature, text, "somebody"))
    assert page.line.length == 0


def test_a_page_without_an_atlas_shows_the_command_and_builds_a_first_one(page):
    from ui.explore.building import build_here, notice

    missing = notice(page, "sae")
    assert missing["kind"] == "missing"
    assert missing["command"].startswith("steer atlas build --text FILE --tokens 1M")
    assert missing["offer"]
    *telling, last = build_here(page, "sae")
    assert {each["kind"] for each in telling} == {"building"}
    assert last["kind"] == "ready"
    assert notice(page, "sae") == last
    assert atlas_of(page).one("SELECT count(*) FROM labels")[0] > 0


def test_a_build_is_watched_by_any_visitor_and_stopped_by_any(page, monkeypatch):
    from steering.errors import AtlasError
    from ui.explore import building
    from ui.job import JobError

    begun = []

    def build(host, alias, report):
        begun.append(alias)
        while True:
            report("tokens", len(begun), 10)

    monkeypatch.setattr(building, "_build", build)
    one, other = building.build_here(page, "sae"), building.build_here(page, "sae")
    for watcher in (one, other):
        assert next(watcher)["kind"] == "building"
        assert next(watcher)["share"] == pytest.approx(0.1)
    assert begun == ["sae"]
    assert building.notice(page, "sae")["offer"] == "Follow it here"
    page.trusted = False
    with pytest.raises(AtlasError, match="open to others"):
        building.stop_building(page, "sae")
    page.trusted = True
    building.stop_building(page, "sae")
    for watcher in (one, other):
        with pytest.raises(JobError, match="was stopped"):
            list(watcher)
    assert building.notice(page, "sae")["kind"] == "missing"


def test_statistics_are_built_into_an_atlas_that_has_labels_alone(page):
    from ui.explore.building import build_here, notice
    from ui.explore.card import card_of, rename

    rename(page, "sae", 3, "mine")
    list(build_here(page, "sae"))
    assert notice(page, "sae")["kind"] == "ready"
    assert card_of(page, "sae", 3)["own"] == "mine"


def test_a_damaged_atlas_is_said_and_the_rack_goes_on_without(page):
    from steering.atlas.places import own_path
    from ui.explore.building import notice
    from ui.rack import label_of

    path = own_path(page.session.saes["sae"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not an atlas at all" * 20)
    assert notice(page, "sae")["kind"] == "failed"
    assert "no SQLite file" in notice(page, "sae")["text"]
    assert label_of(page.session, "sae", 3) == "feature 3"


def test_strangers_write_nothing(built):
    from steering.errors import AtlasError
    from ui.explore.building import build_here
    from ui.explore.card import card_of, rename

    built.trusted = False
    assert not card_of(built, "sae", 3)["writable"]
    with pytest.raises(AtlasError, match="open to others"):
        rename(built, "sae", 3, "theirs")
    with pytest.raises(AtlasError, match="open to others"):
        list(build_here(built, "sae"))
