"""Labels: from whom, which one is shown, and which files hold them."""

import gzip
import http.server
import json
import threading

import pytest

from tests import tiny


@pytest.fixture
def atlas(tmp_path):
    from steering.atlas.store import Atlas

    return Atlas.create(tmp_path / "a.sqlite", tiny.sae())


def label(feature, text, source="file", score=None):
    from steering.atlas.labels import Label

    return Label(feature, text, source, score)


def test_the_one_shown_is_a_persons_then_the_truth_then_the_best_scored(atlas):
    from steering.atlas.labels import EVIDENCE, TRUTH, add_labels, labels, set_label, shown_labels

    everything = [
        label(3, "what tokens suggest", EVIDENCE, 0.99),
        label(3, "unscored", "b"),
        label(3, "worse", "c", 0.2),
        label(3, "better", "d", 0.7),
        label(3, "the truth", TRUTH, 0.1),
    ]
    for last, each in enumerate(everything, start=1):
        add_labels(atlas, [each])
        expected = everything[last - 1].text if last != 2 else "unscored"
        assert shown_labels(atlas)[3].text == expected
    set_label(atlas, 3, "my own\nwords")
    assert [each.text for each in labels(atlas, 3)] == [
        *("my own words", "the truth", "better", "worse", "unscored", "what tokens suggest")
    ]
    assert labels(atlas, 3)[2] == everything[3]


def test_of_several_labels_of_one_source_the_best_is_kept_and_the_others_are_counted(atlas):
    from steering.atlas.labels import add_labels, labels

    given = [label(4, "fair", score=0.6), label(4, "best", score=0.9), label(4, "none")]
    done = add_labels(atlas, given)
    assert [each.text for each in labels(atlas, 4) if each.source == "file"] == ["best"]
    assert (done.kept, done.beaten) == (1, 2)
    assert "2 beside a better one of the same feature and source" in str(done)
    add_labels(atlas, [label(4, "newer", score=0.1)])
    assert [each.text for each in labels(atlas, 4) if each.source == "file"] == ["newer"]


def test_labels_of_two_files_stand_beside_each_other(atlas, tmp_path):
    from steering.atlas.label_files import read_labels
    from steering.atlas.labels import add_labels, labels

    for name in ("one", "two"):
        line = json.dumps({"feature": 5, "label": name})
        (tmp_path / f"{name}.jsonl").write_text(line + "\n")
        add_labels(atlas, read_labels(str(tmp_path / f"{name}.jsonl")))
    found = {each.source: each.text for each in labels(atlas, 5)}
    assert (found["file one.jsonl"], found["file two.jsonl"]) == ("one", "two")


def test_labels_that_are_slow_to_come_keep_nobody_from_labelling(atlas):
    from steering.atlas.labels import add_labels, labels, set_label
    from steering.atlas.store import Atlas

    def slow():
        yield label(1, "the first of many")
        with Atlas.open(atlas.path) as beside:
            set_label(beside, 2, "mine, meanwhile")
        yield label(2, "the second")

    assert add_labels(atlas, slow()).kept == 2
    assert [each.text for each in labels(atlas, 2)] == ["mine, meanwhile", "the second"]


def test_an_import_never_touches_a_persons_label(atlas):
    from steering.atlas.labels import PERSON, add_labels, labels, set_label
    from steering.errors import AtlasError

    set_label(atlas, 3, "mine")
    for theirs in (label(3, "theirs", score=1.0), label(3, "theirs, later", score=0.9)):
        add_labels(atlas, [theirs])
    assert [(each.text, each.source) for each in labels(atlas, 3)] == [
        ("mine", PERSON),
        ("theirs, later", "file"),
    ]
    with pytest.raises(AtlasError, match="for your own"):
        add_labels(atlas, [label(4, "kept?"), label(3, "forged", PERSON)])
    assert labels(atlas, 4) == []
    set_label(atlas, 3, " ")
    assert [each.text for each in labels(atlas, 3)] == ["theirs, later"]


def test_a_file_of_labels_cannot_pass_for_the_truth(tmp_path):
    from steering.atlas.label_files import read_labels
    from steering.errors import AtlasError

    file = tmp_path / "labels.jsonl"
    file.write_text('{"feature": 3, "label": "forged", "source": "features file"}')
    with pytest.raises(AtlasError, match=r"line 1 has the source 'features file'.*--truth"):
        list(read_labels(str(file)))


def test_labels_of_features_that_do_not_exist_are_counted(atlas):
    from steering.atlas.labels import Imported, add_labels

    given = [label(3, "bridge"), label(64, "x"), label(-1, "x"), label(5, " \n")]
    found = add_labels(atlas, given)
    assert found == Imported(kept=1, unknown=2, empty=1)
    assert str(found) == (
        "1 labels kept; left out: 2 of features that the SAE does not have, 1 without a word"
    )


def test_ground_truth_comes_from_the_features_file():
    from steering.atlas.labels import TRUTH, truth_labels
    from steering.features import FeatureFacts

    facts = {
        1: FeatureFacts(1.0, label="pushes praise", target="flattery", reading_f1=0.5),
        2: FeatureFacts(1.0),
        3: FeatureFacts(1.0, target="flattery"),
    }
    assert list(truth_labels(facts)) == [
        label(1, "pushes praise", TRUTH, 0.5),
        label(3, "flattery", TRUTH),
    ]


NEURONPEDIA = {
    "modelId": "tiny",
    "layer": "1-res",
    "index": "7",
    "description": " fog on the bay",
    "explanationModelName": "some-model",
    "typeName": "oai_token-act-pair",
}


def zipped(*records):
    return gzip.compress("\n".join(json.dumps(record) for record in records).encode())


def test_neuronpedias_batches_are_read_in_their_order(tmp_path):
    from steering.atlas.label_files import read_labels

    for number in (10, 2, 0):
        record = {**NEURONPEDIA, "index": str(number)}
        (tmp_path / f"batch-{number}.jsonl.gz").write_bytes(zipped(record))
    found = list(read_labels(str(tmp_path), neuronpedia_id="tiny/1-res"))
    assert [each.feature for each in found] == [0, 2, 10]
    assert found[0] == label(0, " fog on the bay", "neuronpedia: some-model, oai_token-act-pair")


def test_any_jsonl_is_read(tmp_path):
    from steering.atlas.label_files import read_labels

    lines = [
        '{"feature": 3, "label": "bridge", "score": 0.5, "source": "me too"}',
        "",
        '{"index": 4, "explanation": "fog"}',
        '{"feature": 5, "text": null}',
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    assert list(read_labels(str(tmp_path / "labels.jsonl"))) == [
        label(3, "bridge", "me too", 0.5),
        label(4, "fog", "file labels.jsonl"),
        label(5, "", "file labels.jsonl"),
    ]


@pytest.fixture
def store(tmp_path):
    """A local store of files over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_batches_behind_an_address_are_fetched_up_to_the_last(store, tmp_path):
    from steering.atlas.label_files import read_labels
    from steering.errors import AtlasError

    for number in range(3):
        record = {**NEURONPEDIA, "index": number}
        (tmp_path / f"batch-{number}.jsonl.gz").write_bytes(zipped(record))
    assert [each.feature for each in read_labels(f"{store}/")] == [0, 1, 2]
    assert [each.feature for each in read_labels(f"{store}/batch-1.jsonl.gz")] == [1]
    with pytest.raises(AtlasError, match="Cannot fetch"):
        list(read_labels(f"{store}/none"))


def test_no_more_is_fetched_than_a_file_of_labels_can_have(store, tmp_path, monkeypatch):
    from steering.atlas import label_files
    from steering.errors import AtlasError

    content = json.dumps({"feature": 3, "label": "fog"}).encode()
    (tmp_path / "labels.jsonl").write_bytes(content)
    monkeypatch.setattr(label_files, "MOST_FETCHED", len(content))
    assert list(label_files.read_labels(f"{store}/labels.jsonl")) == [
        label(3, "fog", "file labels.jsonl")
    ]
    monkeypatch.setattr(label_files, "MOST_FETCHED", len(content) - 1)
    with pytest.raises(AtlasError, match=r"labels\.jsonl' has more than .* MiB"):
        list(label_files.read_labels(f"{store}/labels.jsonl"))
    local = label_files.read_labels(str(tmp_path / "labels.jsonl"))
    assert list(local) == [label(3, "fog", "file labels.jsonl")]


@pytest.mark.parametrize("filler", [b"\n", b"x"])
def test_a_small_packed_file_that_holds_gigabytes_is_refused(store, tmp_path, monkeypatch, filler):
    """Memory stays small: what is unpacked is let go line by line."""
    import tracemalloc

    from steering.atlas import label_files
    from steering.errors import AtlasError

    monkeypatch.setattr(label_files, "MOST_UNPACKED", 2**16)
    bomb = gzip.compress(filler * 2**25)
    (tmp_path / "batch-0.jsonl.gz").write_bytes(bomb)
    for where in (store, str(tmp_path)):
        tracemalloc.start()
        with pytest.raises(AtlasError, match=r"batch-0\.jsonl\.gz.*characters"):
            list(label_files.read_labels(where))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**24


def test_a_store_without_a_last_batch_comes_to_an_end(store, tmp_path, monkeypatch):
    from steering.atlas import label_files
    from steering.errors import AtlasError

    for number in range(3):
        record = {**NEURONPEDIA, "index": number}
        (tmp_path / f"batch-{number}.jsonl.gz").write_bytes(zipped(record))
    monkeypatch.setattr(label_files, "MOST_BATCHES", 2)
    with pytest.raises(AtlasError, match="more than 2 batches"):
        list(label_files.read_labels(store))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"fog", r"a\.jsonl', line 1 is no label"),
        ("a.jsonl", b'{"label": "fog"}', "is no label.*feature or index"),
        ("a.jsonl", b'{"feature": "x", "label": "fog"}', "is no label"),
        ("a.jsonl", b'{"feature": Infinity, "label": "fog"}', "is no label"),
        ("a.jsonl", rb'{"feature": 1, "label": "fo\ud800"}', "is no label"),
        ("a.jsonl", b'{"feature": 1, "label": "\xff"}', "damaged"),
        ("a.jsonl.gz", zipped(NEURONPEDIA)[:-9], "damaged"),
        ("a.jsonl.gz", zipped({**NEURONPEDIA, "layer": "2-res"}), r"'tiny/2-res'.*'tiny/1-res'"),
    ],
)
def test_what_is_no_label_is_refused_by_name_and_nothing_is_kept(
    atlas, tmp_path, name, content, words
):
    from steering.atlas.label_files import read_labels
    from steering.atlas.labels import add_labels, shown_labels
    from steering.errors import AtlasError

    (tmp_path / name).write_bytes(content)
    given = read_labels(str(tmp_path / name), neuronpedia_id="tiny/1-res")
    with pytest.raises(AtlasError, match=words):
        add_labels(atlas, (each for part in ([label(3, "good")], given) for each in part))
    assert shown_labels(atlas) == {}


def test_half_a_character_is_refused_also_from_a_person(atlas):
    from steering.atlas.labels import set_label
    from steering.errors import AtlasError

    before = atlas.rows("SELECT * FROM labels")
    with pytest.raises(AtlasError, match="holds half a character"):
        set_label(atlas, 3, "fo\udcff")
    assert atlas.rows("SELECT * FROM labels") == before


def test_a_folder_without_labels_is_refused(tmp_path):
    from steering.atlas.label_files import read_labels
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match="no labels at"):
        list(read_labels(str(tmp_path)))
