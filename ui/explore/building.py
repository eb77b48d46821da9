"""Whether an SAE has an atlas; where it has none: how to build one, and a first small one here."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steering.atlas.evidence import evidence_labels
from steering.atlas.labels import add_labels, truth_labels
from steering.atlas.places import path_to_write
from steering.atlas.progress import Report
from steering.atlas.store import Atlas
from steering.errors import AtlasError, SteeringError
from ui.exports import place_flags
from ui.host import Host
from ui.job import Job

Notice = dict[str, Any]
EMPTY: Notice = {"kind": "none", "text": ""}


def notice(host: Host, alias: str) -> Notice:
    """What to say of an SAE's atlas."""
    job = _running(host, alias)
    if job is not None and job.latest is not None:
        return {**job.latest, "offer": "Follow it here" if host.trusted else None}
    try:
        atlas = host.session.atlas(alias)
    except AtlasError as error:
        return {"kind": "failed", "text": str(error)}
    name = host.session.saes[alias].name
    if atlas is None:
        text = (
            f"The SAE {name!r} has no atlas: no examples, no histograms, no promoted tokens. "
            "Build one from any text:"
        )
        return {"kind": "missing", "text": text, **_how(host)}
    if not atlas.about.tokens:
        text = f"The atlas of {name!r} holds no statistics yet. Build them from any text:"
        return {"kind": "missing", "text": text, **_how(host)}
    return {"kind": "ready", "text": _said(atlas)}


def _said(atlas: Atlas) -> str:
    about = atlas.about
    (labelled,) = atlas.one("SELECT count(DISTINCT feature) FROM labels") or (0,)
    named = f"{labelled:,} with a label" if labelled else "none with a label"
    text = Path(about.text).name if about.text else "a text"
    return f"{about.d_sae:,} features, {named}; measured on {about.tokens:,} tokens of {text}."


def _how(host: Host) -> Notice:
    """The command, and an offer where this page may write."""
    return {
        "command": build_command(host),
        "offer": "Build a first one here, from a short text" if host.trusted else None,
    }


def build_command(host: Host) -> str:
    """The command that builds the atlas of what is loaded.

    An SAE that nothing can load again has no flags, and the command says what to fill in.
    """
    words = ["steer", "atlas", "build", "--text", "FILE", "--tokens", "1M"]
    try:
        return shlex.join([*words, *place_flags(host.session)])
    except SteeringError:
        return shlex.join([*words, "--model", "MODEL", "--sae", "SAE"])


def build_here(host: Host, alias: str) -> Iterator[Notice]:
    """Build a small atlas from the text beside the SAE, or the packaged one, and say how far it is.

    Where such a build is under way already, that one is watched. Labels come from the features
    file, where there is one, and from what tokens suggest.

    Raises:
        AtlasError: Strangers may not write here, or it cannot be built.
        JobError: It was stopped.
    """
    host.require_trusted()
    job = _running(host, alias)
    if job is None:
        job = Job("build", lambda tell: _build(host, alias, lambda *how: tell(_progress(*how))))
        host.builds[host.session.saes[alias].fingerprint] = job
    yield _progress("tokens", 0, None) if job.latest is None else job.latest
    yield from job.watch()
    yield notice(host, alias)


def stop_building(host: Host, alias: str) -> None:
    """End the build of an SAE's atlas, if one is under way here.

    Raises:
        AtlasError: Strangers may not.
    """
    host.require_trusted()
    job = _running(host, alias)
    if job is not None:
        job.stop()


def _running(host: Host, alias: str) -> Job | None:
    job = host.builds.get(host.session.saes[alias].fingerprint)
    return job if job is not None and job.running else None


def _build(host: Host, alias: str, report: Report) -> None:
    # They import torch: seconds, when a page starts.
    from steering.atlas.build import build
    from steering.atlas.texts import text_source
    from steering.calibration import PACKAGED

    session = host.session
    sae = session.saes[alias]
    path = path_to_write(sae)
    text = text_source(str(sae.calibration_text or PACKAGED))
    build(session.model, {path: sae}, text, report=report)
    report("labels", 0, None)
    with Atlas.open(path, sae) as atlas:
        add_labels(atlas, truth_labels(sae.facts))
        add_labels(atlas, list(evidence_labels(atlas)))


def _progress(what: str, done: int, total: int | None) -> Notice:
    of = f" of {total:,}" if total else ""
    count = f" {done:,}{of}" if done else ""
    share = done / total if total else None
    return {
        "kind": "building",
        "text": f"Building the atlas: {what}{count}. Texts can be written meanwhile.",
        "share": share,
        "offer": None,
    }
