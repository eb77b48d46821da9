"""Building: what a naive recount counts, to the byte after a kill, and refused in words."""

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steering.errors import LoadError
from tests import tiny
from tests.atlas import made

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr("steering.atlas.token_rows.GROUP_TOKENS", 200)


@pytest.fixture
def text(tmp_path):
    return made.text_file(tmp_path)


def recount(sae, texts):
    """Activations on every counted token by TransformerLens and SAELens, a row at a time."""
    model = made.model()
    rows, acts = [], []
    for document in texts:
        ids = model.tokenizer.encode(document, add_special_tokens=False)
        for start in range(0, len(ids), tiny.N_CTX - 1):
            row = [0, *ids[start : start + tiny.N_CTX - 1]]
            counted = [at for at, i in enumerate(row) if at and i not in model.special_ids]
            if not counted:
                continue
            with torch.no_grad():
                _, cache = model.bridge.run_with_cache(torch.tensor([row]))
                stream = cache[sae.hook_name][0]
                acts.append(sae.inner.encode(stream) * sae.inner.W_dec.norm(dim=-1))
            rows.append((row, counted))
    return rows, acts


@pytest.mark.parametrize("kind", ["jumprelu", "topk"])
@pytest.mark.parametrize("group_tokens", [64, 200, 100_000])
def test_density_and_maxima_are_those_of_a_naive_recount_however_the_text_is_cut(
    kind, group_tokens, text, tmp_path, monkeypatch
):
    monkeypatch.setattr("steering.atlas.token_rows.GROUP_TOKENS", group_tokens)
    monkeypatch.setattr("steering.atlas.build._CELLS", 37 * tiny.D_SAE)
    sae = tiny.sae(kind)
    atlas = made.build(tmp_path / "a.sqlite", text, sae)
    rows, acts = recount(sae, made.documents())
    counted = torch.cat([a[at] for (_, at), a in zip(rows, acts, strict=True)])
    assert atlas.about.tokens == len(counted)
    found = atlas.rows("SELECT fired, density, max_act, mean_act FROM stats ORDER BY feature")
    fired = (counted > 0).sum(0)
    assert [row[0] for row in found] == fired.tolist()
    assert [row[1] for row in found] == (fired.double() / len(counted)).tolist()
    torch.testing.assert_close(
        torch.tensor([row[2] for row in found]), counted.amax(0), atol=1e-5, rtol=1e-5
    )
    means = counted.double().sum(0) / fired.clamp(min=1)
    assert [row[3] for row in found] == pytest.approx(means.tolist(), abs=1e-4)
    assert int((fired > 0).sum()) > 5


def test_the_best_examples_are_the_rows_with_the_highest_activation(text, tmp_path):
    from steering.atlas.windows import BEFORE, NOTHING, TOP_TENTH, unpack

    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", text, sae)
    rows, acts = recount(sae, made.documents())
    for feature in range(0, tiny.D_SAE, 7):
        both = zip(rows, acts, strict=True)
        peaks = [(float(a[at, feature].max()), i) for i, ((_, at), a) in enumerate(both)]
        expected = sorted((p for p in peaks if p[0] > 0), key=lambda p: (-p[0], p[1]))[:20]
        kept = atlas.one(
            "SELECT windows FROM examples WHERE feature = ? AND tenth = ?", (feature, TOP_TENTH)
        )
        windows = unpack(kept[0]) if kept else []
        assert [w.act for w in windows] == pytest.approx([p for p, _ in expected], rel=1e-5)
        for window in windows:
            row, at = rows[window.row]
            assert window.ids[BEFORE] == row[window.position]
            here = [i for i in window.ids.tolist() if i != NOTHING]
            first = max(0, window.position - BEFORE)
            assert here == row[first : first + len(here)]
            own = acts[window.row][:, feature].clone()
            own[[i for i in range(len(row)) if i not in at]] = 0
            shown = window.acts[window.ids != NOTHING].astype(np.float32).tolist()
            assert shown == pytest.approx(
                own[first : first + len(here)].tolist(), rel=2e-3, abs=1e-3
            )


def test_samples_lie_in_the_tenth_that_they_stand_for(text, tmp_path):
    from steering.atlas.windows import unpack

    atlas = made.build(tmp_path / "a.sqlite", text)
    maxima = dict(atlas.rows("SELECT feature, max_act FROM stats"))
    tenths = set()
    for feature, tenth, packed in atlas.rows("SELECT * FROM examples WHERE tenth >= 0"):
        for window in unpack(packed):
            share = window.act / maxima[feature]
            assert tenth / 10 - 1e-6 < share <= (tenth + 1) / 10 + 1e-6
            tenths.add(tenth)
    assert tenths == set(range(10))


def test_quantiles_and_the_median_norm_are_near_those_of_the_whole(text, tmp_path):
    from steering.atlas.bins import QUANTILES

    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", text, sae)
    rows, acts = recount(sae, made.documents())
    counted = torch.cat([a[at] for (_, at), a in zip(rows, acts, strict=True)])
    for feature, packed, fired in atlas.rows("SELECT feature, quantiles, fired FROM stats"):
        own = counted[:, feature]
        if fired < 50:
            continue
        exact = torch.quantile(own[own > 0], torch.tensor(QUANTILES)).tolist()
        assert np.frombuffer(packed, np.float32).tolist() == pytest.approx(exact, rel=0.2, abs=0.05)
    model, norms = made.model(), []
    for row, at in rows:
        with torch.no_grad():
            _, cache = model.bridge.run_with_cache(torch.tensor([row]))
        norms.append(cache[sae.hook_name][0][at].norm(dim=-1))
    assert atlas.about.median_norm == pytest.approx(float(torch.cat(norms).median()), rel=0.02)


def test_pairs_are_counted_as_they_fire_together(text, tmp_path):
    sae = tiny.sae("topk")
    atlas = made.build(tmp_path / "a.sqlite", text, sae)
    rows, acts = recount(sae, made.documents())
    on = torch.cat([a[at] for (_, at), a in zip(rows, acts, strict=True)]) > 0
    both = on.double().T @ on.double()
    found = atlas.rows("SELECT feature, other, both FROM pairs")
    assert len(found) > 100
    for one, other, count in found:
        assert count == both[one, other]


def test_the_lens_is_the_final_norm_and_the_output_matrix_by_hand(text, tmp_path):
    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", text, sae)
    hf: Any = made.model().hf
    direction = sae.inner.W_dec.detach() / sae.norms[:, None]
    weight = hf.get_submodule("model.norm").weight.detach()
    normed = direction / (direction.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight
    logits = normed @ hf.get_output_embeddings().weight.detach().T
    for feature, promoted, demoted in atlas.rows("SELECT * FROM lens"):
        for packed, largest in ((promoted, True), (demoted, False)):
            tokens, gains = np.frombuffer(packed).reshape(2, -1)
            values = logits[feature].topk(20, largest=largest).values.tolist()
            assert gains.tolist() == pytest.approx(values, abs=1e-4)
            assert logits[feature][tokens.astype(int)].tolist() == pytest.approx(values, abs=1e-4)


def test_rows_that_pad_the_vocabulary_are_no_tokens():
    from steering.atlas.lens import lens_ends
    from steering.models import LanguageModel

    hf = tiny.hf_model()
    size = len(tiny.tokenizer())
    hf.resize_token_embeddings(size + 60, mean_resizing=False)
    with torch.no_grad():
        head: Any = hf.get_output_embeddings()
        head.weight[size:] = 100 * torch.randn(60, tiny.D_MODEL)
    model = LanguageModel("tiny", hf, tiny.tokenizer())
    ((_, ends),) = lens_ends(model, tiny.sae())
    assert max(ends.promoted.max(), ends.demoted.max()) < size


@pytest.mark.parametrize("kind", ["gpt2", "neox", "gemma2"])
def test_the_lens_leaves_out_what_biases_say_of_any_direction(kind):
    from steering.atlas.lens import lens
    from steering.hook_points import HookPoint
    from steering.models import LanguageModel

    model = LanguageModel("tiny", tiny.hf_model(kind), tiny.tokenizer())
    for name, weight in model.hf.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    point = HookPoint.parse("blocks.1.hook_resid_post")
    direction = torch.nn.functional.normalize(torch.randn(2, tiny.D_MODEL))
    found = lens(model, point, direction)
    again = lens(model, point, direction * 1.0001)
    torch.testing.assert_close(found, again, atol=1e-2, rtol=1e-2)
    assert found.std() > 0.1


def test_heads_write_through_their_output_matrix():
    from steering.atlas.lens import lens
    from steering.hook_points import HookPoint

    model = made.model()
    inside = torch.nn.functional.normalize(torch.randn(3, tiny.D_MODEL))
    heads: Any = model.hf.get_submodule("model.layers.1.self_attn.o_proj")
    written = heads.weight.detach() @ inside.T
    through = lens(model, HookPoint.parse("blocks.1.attn.hook_z"), inside)
    plain = lens(model, HookPoint.parse("blocks.1.hook_resid_post"), written.T)
    torch.testing.assert_close(through, plain, atol=1e-4, rtol=1e-4)


def test_several_saes_in_one_pass_give_what_each_gives_alone(text, tmp_path):
    early, late = tiny.sae(hook_name="blocks.0.hook_resid_post"), tiny.sae("topk", seed=1)
    alone = [
        made.dump(made.build(tmp_path / "1.sqlite", text, early)),
        made.dump(made.build(tmp_path / "2.sqlite", text, late)),
    ]
    both = made.build_all({tmp_path / "3.sqlite": early, tmp_path / "4.sqlite": late}, text)
    assert [made.dump(each) for each in both] == alone


def test_saes_that_want_other_rows_are_built_one_by_one(text, tmp_path):
    from steering.errors import AtlasError

    paths, bare = (
        [tmp_path / name for name in "ab"],
        tiny.sae("topk", metadata={"prepend_bos": False}),
    )
    wants = r"'tiny-jumprelu' wants rows with BOS, 'tiny-topk' wants rows without BOS.*one by one"
    with pytest.raises(AtlasError, match=wants):
        made.build_all(dict(zip(paths, (tiny.sae(), bare), strict=True)), text)
    assert not any(path.exists() for path in paths)
    both = made.build_all({paths[0]: bare, paths[1]: bare}, text)
    assert all(each.about.tokens > 1000 for each in both)


def test_a_build_stops_at_the_tokens_asked_for(text, tmp_path):
    whole = made.build(tmp_path / "a.sqlite", text).about.tokens
    atlas = made.build(tmp_path / "b.sqlite", text, tokens=300)
    assert 300 <= atlas.about.tokens <= 300 + 2 * 200 < whole


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def test_killed_at_ten_random_moments_and_taken_up_the_statistics_are_the_same_to_the_byte(
    text, tmp_path, monkeypatch
):
    from steering.atlas import checkpoint
    from steering.atlas.tally import Tally

    early, late = tiny.sae(hook_name="blocks.0.hook_resid_post"), tiny.sae("topk", seed=1)
    saes = [early, late]
    straight = made.build_all({tmp_path / f"s{i}.sqlite": sae for i, sae in enumerate(saes)}, text)
    killed = {tmp_path / f"k{i}.sqlite": sae for i, sae in enumerate(saes)}
    chance, calls, budget = random.Random(1), [0], [0]

    def dying(function):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] == budget[0]:
                raise Killed
            return function(*args, **kwargs)

        return call

    for place in ("add", "_keep_top", "_keep_samples"):
        monkeypatch.setattr(Tally, place, dying(getattr(Tally, place)))
    monkeypatch.setattr(checkpoint.os, "fsync", dying(checkpoint.os.fsync))
    for _ in range(10):
        calls[0], budget[0] = 0, chance.randint(1, 12)
        with pytest.raises(Killed):
            made.build_all(killed, text, save_every=0.0)
    budget[0] = -1

    def die(*_args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("steering.atlas.publish._write_lens", die)
        with pytest.raises(Killed):
            made.build_all(killed, text, save_every=0.0)
    resumed = made.build_all(killed, text, save_every=0.0)
    assert [made.dump(each) for each in resumed] == [made.dump(each) for each in straight]
    assert sorted(path.name for path in tmp_path.glob("k*")) == [
        *("k0.sqlite", "k0.sqlite.lock", "k1.sqlite", "k1.sqlite.lock"),
    ]


def test_a_process_that_is_really_killed_is_taken_up(text, tmp_path):
    """SIGKILL, not an exception: nothing gets to clean up."""
    script = tmp_path / "build.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.atlas import made\n"
        "import steering.atlas.build as build, steering.atlas.token_rows as rows\n"
        "rows.GROUP_TOKENS = 200\n"
        "read = build._read\n"
        "def slow(*args):\n"
        "    import time; time.sleep(0.2); read(*args); print('group', flush=True)\n"
        "build._read = slow\n"
        "made.build(Path(sys.argv[1]), sys.argv[2], save_every=0.0)\n"
    )
    path = tmp_path / "a.sqlite"
    process = subprocess.Popen(
        [sys.executable, str(script), str(path), str(text)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        for _ in range(4):
            assert process.stdout.readline() == b"group\n"
        from steering.errors import AtlasError

        with pytest.raises(AtlasError, match=rf"being built by process {process.pid} since 20"):
            made.build(path, text)
        process.kill()
    process.wait()
    assert path.with_name("a.sqlite.building").exists()
    resumed = made.dump(made.build(path, text))
    assert resumed == made.dump(made.build(tmp_path / "b.sqlite", text))


def test_a_text_that_changed_is_refused_and_restart_begins_anew(text, tmp_path, monkeypatch):
    from steering.atlas import build
    from steering.errors import AtlasError

    path = tmp_path / "a.sqlite"
    read, groups = build._read, []

    def twice(*args):
        if len(groups) == 2:
            raise Killed
        groups.append(1)
        read(*args)

    monkeypatch.setattr(build, "_read", twice)
    with pytest.raises(Killed):
        made.build(path, text, save_every=0.0)
    monkeypatch.setattr(build, "_read", read)
    with pytest.raises(AtlasError, match=r"begun with tokens None \(asked: 500\).*--restart"):
        made.build(path, text, tokens=500)
    whole = text.read_text()
    for other in ("the sea " + whole, "the sea"):
        text.write_text(other)
        with pytest.raises(AtlasError, match=r"has changed since.*--restart"):
            made.build(path, text)

    def killed(*_):
        raise Killed

    text.write_text(whole)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(build, "publish", killed)
        made.build(path, text, restart=True, save_every=0.0)
    # It ends just where the checkpoint was written.
    text.write_text(whole.replace("sea", "fog"))
    with pytest.raises(AtlasError, match=r"has changed since.*--restart"):
        made.build(path, text)
    text.write_text("the sea " + whole)
    again = made.dump(made.build(path, text, restart=True))
    assert again == made.dump(made.build(tmp_path / "b.sqlite", text))


def test_a_full_disk_stops_the_build_and_the_file_stays_valid(text, tmp_path, monkeypatch):
    from steering.atlas import checkpoint
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    path = tmp_path / "a.sqlite"

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.np, "savez", full)
        with pytest.raises(AtlasError, match="No space left on device"):
            made.build(path, text, save_every=0.0)
    assert Atlas.open(path).about.tokens == 0
    assert not list(tmp_path.glob("*.tmp"))
    before = made.dump(made.build(path, text))
    atlas = Atlas.open(path)
    (pages,) = atlas.one("PRAGMA page_count") or (0,)
    atlas._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AtlasError, match=r"disk is full.*unchanged"), atlas.writing() as db:
        db.many(
            "INSERT OR REPLACE INTO meanings VALUES (?, ?)",
            ((i, bytes(4000)) for i in range(999)),
        )
    assert made.dump(Atlas.open(path)) == before


def test_a_disk_that_fills_while_statistics_are_published_leaves_the_earlier_ones(
    text, tmp_path, monkeypatch
):
    from steering.atlas import build
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    path, first = tmp_path / "a.sqlite", tmp_path / "first"
    first.mkdir()
    before = made.dump(made.build(path, made.text_file(first, ["the sea " * 9])))
    publish = build.publish

    def publish_where_it_is_full(atlas, *args):
        (pages,) = atlas.one("PRAGMA page_count")
        atlas._db.execute(f"PRAGMA max_page_count = {pages}")
        publish(atlas, *args)

    with monkeypatch.context() as patched:
        patched.setattr(build, "publish", publish_where_it_is_full)
        with pytest.raises(AtlasError, match=r"disk is full.*unchanged"):
            made.build(path, text, save_every=0.0)
    with Atlas.open(path) as kept:
        assert made.dump(kept) == before
        assert kept.one("PRAGMA integrity_check") == ("ok",)
    taken_up = made.dump(made.build(path, text, save_every=0.0))
    assert taken_up == made.dump(made.build(tmp_path / "b.sqlite", text))


@pytest.mark.parametrize("method", ["write_text", "mkdir"])
def test_a_disk_that_is_full_from_the_beginning_is_told_in_the_same_words(
    text, tmp_path, monkeypatch, method
):
    from steering.errors import AtlasError

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, method, full)
        with pytest.raises(AtlasError, match=r"a\.sqlite'.*disk is full.*unchanged"):
            made.build(tmp_path / "a.sqlite", text)
    assert made.build(tmp_path / "a.sqlite", text).about.tokens > 0


@pytest.mark.parametrize("content", ["", "  \n\n", "<turn> <eos>", "\n---\n---\n"])
def test_a_text_without_a_token_to_count_is_refused(content, tmp_path):
    from steering.errors import AtlasError

    text = tmp_path / "empty.txt"
    text.write_text(content)
    with pytest.raises(AtlasError, match=r"no token to count in .*empty\.txt"):
        made.build(tmp_path / "a.sqlite", text)
    assert not (tmp_path / "a.sqlite").exists()


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), LoadError("There is no such dataset.")])
def test_a_build_that_ends_before_its_first_token_leaves_no_atlas(ended, tmp_path):
    from steering.atlas.build import build
    from steering.atlas.texts import TextSource

    def never():
        raise ended
        yield ""

    with pytest.raises(type(ended)):
        build(made.model(), {tmp_path / "a.sqlite": tiny.sae()}, TextSource("none", never))
    assert not (tmp_path / "a.sqlite").exists()


def test_where_one_of_two_atlases_is_refused_the_other_is_not_begun(text, tmp_path):
    from steering.atlas.build import build
    from steering.atlas.texts import text_source
    from steering.errors import AtlasError

    foreign = tmp_path / "b.sqlite"
    made.build(foreign, text).close()
    saes = {tmp_path / "a.sqlite": tiny.sae(), foreign: tiny.sae(seed=1)}
    with pytest.raises(AtlasError, match="is the atlas of SAE"):
        build(made.model(), saes, text_source(str(text)))
    assert not (tmp_path / "a.sqlite").exists()


def test_an_atlas_of_another_sae_is_not_built_over(text, tmp_path):
    from steering.errors import AtlasError

    path = tmp_path / "a.sqlite"
    before = made.dump(made.build(path, text))
    content = path.read_bytes()
    with pytest.raises(AtlasError, match="is the atlas of SAE 'tiny-jumprelu'"):
        made.build(path, text, tiny.sae(seed=1))
    assert path.read_bytes() == content
    from steering.atlas.store import Atlas

    assert made.dump(Atlas.open(path)) == before


def test_others_have_the_model_between_two_batches(text, tmp_path):
    """A page that builds an atlas goes on writing texts."""
    from steering.atlas.build import build
    from steering.atlas.texts import text_source

    model, told = made.model(), []

    def report(what, *_):
        with ThreadPoolExecutor(1) as other:
            free = other.submit(model.lock.acquire, timeout=0).result()
            assert free, what
            other.submit(model.lock.release).result()
        told.append(what)

    build(model, {tmp_path / "a.sqlite": tiny.sae()}, text_source(str(text)), report=report)
    assert {"tokens", "examples", "logit lens"} <= set(told)


def test_what_a_report_raises_ends_the_build_and_it_can_be_taken_up(text, tmp_path):
    from steering.atlas.build import BuildOptions, build
    from steering.atlas.store import Atlas
    from steering.atlas.texts import text_source

    path, options = tmp_path / "a.sqlite", BuildOptions(save_every=0.0)
    for last in ("tokens", "examples", "logit lens"):

        def report(what, *_, last=last):
            if what == last:
                raise RuntimeError(what)

        with pytest.raises(RuntimeError, match=last):
            build(made.model(), {path: tiny.sae()}, text_source(str(text)), options, report)
        with Atlas.open(path) as stopped:
            assert stopped.about.tokens == 0
    whole = made.build(tmp_path / "b.sqlite", text)
    assert made.dump(made.build(path, text)) == made.dump(whole)


def test_progress_is_reported(text, tmp_path):
    from steering.atlas.build import build
    from steering.atlas.texts import text_source

    said: list[tuple[str, int, int | None]] = []
    build(
        made.model(),
        {tmp_path / "a.sqlite": tiny.sae()},
        text_source(str(text)),
        report=lambda *each: said.append(each),
    )
    counts = [done for what, done, _ in said if what == "tokens"]
    assert counts == sorted(counts)
    assert counts[-1] > 1000
    assert said[-2:] == [(what, tiny.D_SAE, tiny.D_SAE) for what in ("logit lens", "examples")]
    assert json.dumps(said)
