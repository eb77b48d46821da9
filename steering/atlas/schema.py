"""The tables of an atlas file, and how an older file is brought up to date.

Statistics, labels, scores and the map stand in tables of their own, since each is made by a command
of its own and outlives the others: building an atlas again keeps its labels.
"""

import sqlite3

APPLICATION_ID = 0x53414541
"""Marks an SQLite file as an atlas, beside the schema version in `user_version`."""

_BASE = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE stats (
    feature INTEGER PRIMARY KEY,
    fired INTEGER NOT NULL,
    density REAL NOT NULL,
    max_act REAL NOT NULL,
    mean_act REAL NOT NULL,
    decoder_norm REAL NOT NULL,
    quantiles BLOB NOT NULL,
    histogram BLOB NOT NULL
);
CREATE TABLE examples (
    feature INTEGER NOT NULL,
    tenth INTEGER NOT NULL,
    windows BLOB NOT NULL,
    PRIMARY KEY (feature, tenth)
) WITHOUT ROWID;
CREATE TABLE pairs (
    feature INTEGER NOT NULL,
    other INTEGER NOT NULL,
    both INTEGER NOT NULL,
    PRIMARY KEY (feature, other)
) WITHOUT ROWID;
CREATE TABLE lens (
    feature INTEGER PRIMARY KEY,
    promoted BLOB NOT NULL,
    demoted BLOB NOT NULL
);
CREATE TABLE promoted (
    token INTEGER NOT NULL,
    feature INTEGER NOT NULL,
    gain REAL NOT NULL,
    PRIMARY KEY (token, feature)
) WITHOUT ROWID;
CREATE TABLE vocabulary (
    token INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL,
    word TEXT NOT NULL,
    special INTEGER NOT NULL
);
CREATE INDEX vocabulary_word ON vocabulary (word);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    feature INTEGER NOT NULL,
    source TEXT NOT NULL,
    kind INTEGER NOT NULL,
    score REAL,
    text TEXT NOT NULL,
    UNIQUE (feature, source)
);
CREATE VIRTUAL TABLE label_stems USING fts5(
    text, content='labels', content_rowid='id',
    tokenize="porter unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE label_words USING fts5(
    text, content='labels', content_rowid='id',
    tokenize="unicode61 remove_diacritics 2", prefix='1 2 3'
);
CREATE VIRTUAL TABLE known_words USING fts5(word, tokenize='trigram');
CREATE TRIGGER labels_insert AFTER INSERT ON labels BEGIN
    INSERT INTO label_stems (rowid, text) VALUES (new.id, new.text);
    INSERT INTO label_words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER labels_delete AFTER DELETE ON labels BEGIN
    INSERT INTO label_stems (label_stems, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO label_words (label_words, rowid, text) VALUES ('delete', old.id, old.text);
    DELETE FROM meanings WHERE label = old.id;
END;
CREATE TRIGGER labels_update AFTER UPDATE OF text ON labels BEGIN
    INSERT INTO label_stems (label_stems, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO label_words (label_words, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO label_stems (rowid, text) VALUES (new.id, new.text);
    INSERT INTO label_words (rowid, text) VALUES (new.id, new.text);
    DELETE FROM meanings WHERE label = old.id;
END;
CREATE TABLE scores (
    feature INTEGER PRIMARY KEY,
    output_score REAL NOT NULL
);
CREATE TABLE places (
    feature INTEGER PRIMARY KEY,
    x REAL NOT NULL,
    y REAL NOT NULL,
    cluster INTEGER NOT NULL
);
CREATE TABLE clusters (
    cluster INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);
CREATE TABLE meanings (
    label INTEGER PRIMARY KEY,
    vector BLOB NOT NULL
);
"""

MIGRATIONS: tuple[str, ...] = (_BASE,)
"""The script that leads from each version to the next; the first makes version 1 out of nothing."""


def newest() -> int:
    """The version that this program reads and writes."""
    return len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a file to the newest version, wholly or not at all."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        mark = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        try:
            db.executescript(f"BEGIN IMMEDIATE; {script} {mark} COMMIT;")
        except sqlite3.Error:
            if db.in_transaction:
                db.rollback()
            raise
