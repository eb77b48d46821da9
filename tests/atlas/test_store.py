"""The file of an atlas: what is refused by name and left as it is, and what migrates."""

import sqlite3
import struct

import pytest

from tests import tiny


def created(path, **options):
    from steering.atlas.store import Atlas

    sae = tiny.sae(**options)
    Atlas.create(path, sae).close()
    return sae


def refused(path, *words, sae=None):
    """It is refused with these words, and not a byte of it changes."""
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    before = path.read_bytes()
    for use in (lambda: Atlas.open(path, sae), lambda: Atlas.create(path, sae or tiny.sae())):
        with pytest.raises(AtlasError) as refusal:
            use()
        assert [word for word in words if word not in str(refusal.value)] == []
        assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_atlas_says_whose_it_is(tmp_path):
    from steering.atlas.store import Atlas

    sae = created(tmp_path / "a.sqlite")
    with Atlas.open(tmp_path / "a.sqlite", sae) as atlas:
        assert atlas.about.fingerprint == sae.fingerprint
        assert (atlas.about.d_sae, atlas.about.tokens) == (tiny.D_SAE, 0)


def test_an_atlas_of_another_sae_is_refused(tmp_path):
    own = created(tmp_path / "a.sqlite")
    other = tiny.sae(seed=1)
    refused(tmp_path / "a.sqlite", own.fingerprint, other.fingerprint, "Load that SAE", sae=other)


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    created(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    refused(path, "schema version 99", "Update the program")


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    created(path)
    whole = path.read_bytes()
    for length in (50, 4096, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "no SQLite file" if length < 100 else "cut short")


def test_what_is_no_sqlite_file_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_text("the bridge " * 50)
    refused(path, "no SQLite file")


def test_an_sqlite_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE about (key TEXT)")
    db.close()
    refused(path, "another program")


def test_a_damaged_page_is_named(tmp_path):
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    path = tmp_path / "a.sqlite"
    created(path)
    content = bytearray(path.read_bytes())
    size = struct.unpack(">H", content[16:18])[0]
    content[size : 3 * size] = b"\xff" * (2 * size)
    path.write_bytes(content)
    with pytest.raises(AtlasError, match="damaged"):
        Atlas.open(path).rows("SELECT * FROM about JOIN stats JOIN labels")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match="steer atlas build"):
        Atlas.open(tmp_path / "none.sqlite")


def test_an_older_schema_is_brought_up_to_date_wholly_or_not_at_all(tmp_path, monkeypatch):
    from steering.atlas import schema
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    path = tmp_path / "a.sqlite"
    sae = created(path)
    before = path.read_bytes()
    wrong = (*schema.MIGRATIONS, "CREATE TABLE later (a); CREATE TABLE later (a);")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", wrong)
        with pytest.raises(AtlasError, match="later"):
            Atlas.open(path)
    assert path.read_bytes() == before
    right = (*schema.MIGRATIONS, "CREATE TABLE later (a); INSERT INTO later VALUES (7);")
    monkeypatch.setattr(schema, "MIGRATIONS", right)
    atlas = Atlas.open(path, sae)
    assert atlas.rows("SELECT a FROM later") == [(7,)]
    assert atlas.one("PRAGMA user_version") == (len(right),)


def test_a_transaction_is_kept_wholly_or_not_at_all(tmp_path):
    from steering.atlas.store import Atlas

    created(tmp_path / "a.sqlite")
    atlas = Atlas.open(tmp_path / "a.sqlite")
    with pytest.raises(RuntimeError), atlas.writing() as db:
        db.run("INSERT INTO scores VALUES (1, 0.5)")
        raise RuntimeError
    assert atlas.rows("SELECT * FROM scores") == []
    with atlas.writing() as db:
        db.run("INSERT INTO scores VALUES (1, 0.5)")
    assert Atlas.open(tmp_path / "a.sqlite").rows("SELECT * FROM scores") == [(1, 0.5)]


def test_reading_an_atlas_loads_neither_torch_nor_the_models_library():
    import subprocess
    import sys
    from pathlib import Path

    script = (
        "import sys, steering.cli, steering.atlas.search, steering.atlas.suggest\n"
        "sys.exit(bool({'torch', 'transformers', 'sae_lens'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0


def test_a_transaction_that_a_kill_cut_off_is_undone_and_not_taken_for_damage(tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    from steering.atlas.store import Atlas

    path = tmp_path / "a.sqlite"
    sae = created(path)
    script = (
        "import os, signal, sys\n"
        "from steering.atlas.store import Atlas\n"
        "atlas = Atlas.open(sys.argv[1])\n"
        "atlas._db.execute('PRAGMA cache_size = 10')\n"
        "with atlas.writing() as db:\n"
        "    rows = ((i, bytes(3000)) for i in range(2000))\n"
        "    db.many('INSERT INTO meanings VALUES (?, ?)', rows)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, check=False)
    assert done.returncode == -9
    assert path.with_name("a.sqlite-journal").exists()
    assert Atlas.open(path, sae).rows("SELECT count(*) FROM meanings") == [(0,)]
    path.write_bytes(b"")
    assert Atlas.create(path, sae).about.fingerprint == sae.fingerprint


def test_an_open_atlas_sees_what_another_connection_built(tmp_path):
    from steering.atlas.store import Atlas

    created(tmp_path / "a.sqlite")
    with Atlas.open(tmp_path / "a.sqlite") as one, Atlas.open(tmp_path / "a.sqlite") as other:
        assert one.about.tokens == 0
        with other.writing() as db:
            db.set_about(other.about, tokens=5, median_norm=2.0)
        assert (other.about.tokens, one.about.tokens) == (5, 5)


def test_a_kill_while_a_file_is_begun_leaves_none(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("steering.atlas.store._write_about", killed)
        with pytest.raises(KeyboardInterrupt):
            created(tmp_path / "a.sqlite")
    assert list(tmp_path.iterdir()) == []
    created(tmp_path / "a.sqlite")
