"""What tokens suggest as labels, and which interventions a phrase suggests."""

import pytest

from tests import tiny
from tests.atlas import made


@pytest.fixture
def atlas(tmp_path):
    return made.build(tmp_path / "a.sqlite", made.text_file(tmp_path))


def by_density(atlas):
    return [f for (f,) in atlas.rows("SELECT feature FROM stats ORDER BY fired DESC")]


def test_evidence_names_the_tokens_that_fire_and_those_promoted(atlas):
    from steering.atlas.cards import examples, show
    from steering.atlas.evidence import evidence_labels
    from steering.atlas.labels import EVIDENCE, add_labels, labels
    from steering.atlas.search import search

    add_labels(atlas, evidence_labels(atlas))
    for feature in by_density(atlas)[:5]:
        (label,) = labels(atlas, feature)
        assert label.source == EVIDENCE
        fires = [each.pieces[each.at].strip() for each in examples(atlas, feature)]
        named = [word for word in set(fires) if f"“{word}”" in label.text.split(";")[0]]
        assert 1 <= len(named) <= 3
        assert label.score == pytest.approx(sum(word in named for word in fires) / len(fires))
        assert f"promotes “{show(atlas, feature).promoted[0].text.strip()}”" in label.text
    assert search(atlas, "bridge")


def test_a_phrase_suggests_clamps_at_half_the_median_norm(atlas):
    from steering.atlas.labels import set_label
    from steering.atlas.suggest import suggest

    known, weak, other = by_density(atlas)[:3]
    set_label(atlas, known, "the Golden Gate bridge")
    set_label(atlas, weak, "golden gate bridge, in guide books")
    set_label(atlas, other, "suspension of disbelief")
    with atlas.writing() as db:
        db.many("INSERT INTO scores VALUES (?, ?)", [(known, 0.3), (weak, 0.001)])
    found = suggest(atlas, "the golden gate bridge", sae="mine", limit=50)
    assert found[0].found.feature == known
    assert found[-1].found.feature == weak
    first = found[0].intervention
    # Not as a multiple of its maximum, which may be another one in a session.
    assert (first.edit, first.strength, first.unit, first.sae) == ("clamp", 0.5, "norm", "mine")
    assert found[0].raw == pytest.approx(0.5 * (atlas.about.median_norm or 0))
    assert {each.found.feature for each in suggest(atlas, "suspension of belief")} >= {other}
    assert len(suggest(atlas, "the golden gate bridge", limit=1)) == 1


def test_what_steers_well_comes_before_what_fits_as_well_and_not_before_what_fits_better(atlas):
    from steering.atlas.labels import set_label
    from steering.atlas.suggest import suggest

    far, near, steers = by_density(atlas)[:3]
    set_label(atlas, near, "lighthouse keepers")
    set_label(atlas, steers, "lighthouse keepers")
    set_label(atlas, far, "other keepers of many things that are kept somewhere")
    with atlas.writing() as db:
        db.many("INSERT INTO scores VALUES (?, ?)", [(far, 0.9), (steers, 0.9)])
    found = [each.found.feature for each in suggest(atlas, "lighthouse keepers", limit=50)]
    assert found == [steers, near, far]


def test_nothing_is_suggested_without_statistics(tmp_path):
    from steering.atlas.store import Atlas
    from steering.atlas.suggest import suggest
    from steering.errors import AtlasError

    atlas = Atlas.create(tmp_path / "a.sqlite", tiny.sae())
    with pytest.raises(AtlasError, match="steer atlas build"):
        suggest(atlas, "bridge")
