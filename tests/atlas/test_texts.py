"""Where texts come from, and what is refused of them."""

import io
import json

import pytest

from tests.atlas import made


def read(asked, **options):
    from steering.atlas.texts import text_source

    return [text for text in text_source(str(asked), **options).documents() if text.strip()]


def test_a_file_is_cut_at_lines_of_three_hyphens(tmp_path):
    (tmp_path / "a.txt").write_text("one\nmore\n---\ntwo -- - ---\n---\n\n---\nthree")
    assert read(tmp_path / "a.txt") == ["one\nmore\n", "two -- - ---\n", "three"]


def test_a_jsonl_file_holds_a_document_a_line(tmp_path):
    lines = [json.dumps({"text": "one\nmore", "n": 1}), "", json.dumps({"text": "two"})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert read(tmp_path / "a.jsonl") == ["one\nmore", "two"]


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.md").write_text("last")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "a.png").write_bytes(b"\xff\xfe")
    assert read(tmp_path) == ["first", "last"]


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n---\ntwo"))
    assert read("-") == ["one\n", "two"]


def test_a_dataset_of_the_hub_is_streamed(monkeypatch):
    import datasets

    from steering.errors import AtlasError

    asked = []

    def load_dataset(name, configuration, *, split, streaming):
        if configuration == "none":
            raise ValueError("BuilderConfig 'none' not found. Available: ['a', 'b']\n")
        asked.append((name, configuration, split, streaming))
        return iter([{"body": "one"}, {"body": "x" * 250_000}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = read("someone/texts", split="test", column="body")
    assert [len(text) for text in found] == [3, 200_000, 50_000]
    read("someone/texts:b-1", column="body")
    assert asked == [("someone/texts", None, "test", True), ("someone/texts", "b-1", "train", True)]
    with pytest.raises(AtlasError, match=r"texts:none'.*Available: \['a', 'b'\].*NAME:CONFIG"):
        read("someone/texts:none", column="body")


def test_an_endless_line_is_cut_and_never_held_whole(tmp_path):
    (tmp_path / "a.txt").write_text("ab " * 200_000)
    pieces = read(tmp_path / "a.txt")
    assert "".join(pieces) == "ab " * 200_000
    assert max(map(len, pieces)) <= 200_000


def test_a_long_document_of_jsonl_is_cut_as_one_of_the_hub_is(tmp_path):
    whole = "ab " * 150_000
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": whole}) + '\n{"text": "last"}\n')
    pieces = read(tmp_path / "a.jsonl")
    assert [len(piece) for piece in pieces] == [200_000, 200_000, 50_000, 4]
    assert "".join(pieces) == f"{whole}last"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"the \xff bridge", r"a\.txt.*not UTF-8.*0xff"),
        ("a.jsonl", b'{"text": "\xe9"}', r"a\.jsonl.*not UTF-8"),
        ("a.jsonl", b"the bridge", r"a\.jsonl.*line 1.*not valid JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"body": "b"}', r"line 2 has no text 'text'.*body.*--column"),
        ("a.jsonl", rb'{"text": "a\ud800"}', r"line 1 is not valid UTF-8.*half a character"),
        ("a.jsonl", b"[1]", r"has no text 'text': it has a list"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path, name, content, words):
    from steering.errors import AtlasError

    (tmp_path / name).write_bytes(content)
    with pytest.raises(AtlasError, match=words):
        read(tmp_path / name)


def test_text_that_is_not_there_is_refused(tmp_path):
    from steering.errors import AtlasError

    for asked in (tmp_path / "none.txt", "none.txt", "./none"):
        with pytest.raises(AtlasError, match=r"no file or folder"):
            read(asked)
    with pytest.raises(AtlasError, match=r"holds no text"):
        read(tmp_path)


@pytest.mark.parametrize("asked", ["", " "])
def test_a_text_without_a_name_is_not_the_folder_one_is_in(asked, tmp_path, monkeypatch):
    from steering.errors import AtlasError

    (tmp_path / "a.txt").write_text("private")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AtlasError, match=rf"text '{asked}' names nothing. Give a text file"):
        read(asked)


def test_long_documents_are_split_into_rows_that_each_begin_with_bos():
    from steering.atlas.token_rows import token_rows

    rows = list(token_rows(made.model(), ["the sea " * 70, "", "<turn>", "fog"], prepend_bos=True))
    assert [len(row) for row in rows] == [64, 64, 15, 2]
    assert {row[0] for row in rows} == {0}
    bare = list(token_rows(made.model(), ["the sea " * 70, "fog"], prepend_bos=False))
    assert [len(row) for row in bare] == [64, 64, 12]
    again = list(token_rows(made.model(), ["<bos> the sea"], prepend_bos=True))
    assert [len(row) for row in again] == [3]
