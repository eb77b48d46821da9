"""Reading: what features read on an unsteered text, token by token."""

import json

import pytest
import torch

from tests import tiny

TEXT = "the bridge is red and the city"


def two_saes(**options):
    from steering.models import LanguageModel
    from steering.session import Session

    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer(chat=True))
    late = tiny.sae("topk", hook_name="blocks.1.hook_resid_post", seed=1)
    return Session(
        model, {"a": tiny.sae(hook_name="blocks.0.hook_resid_post", **options), "b": late}
    )


def stream_at(session, alias, ids):
    """The stream an SAE reads, by TransformerLens."""
    name = session.saes[alias].hook_name
    with torch.no_grad():
        _, cache = session.model.bridge.run_with_cache(torch.tensor([ids]))
    return cache[name][0]


def test_a_trace_is_what_the_sae_encodes_at_every_token():
    session = two_saes()
    reading = session.read(TEXT, [("b", 5), ("a", 3), ("b", 5), ("a", 9)])
    assert [(t.sae, t.feature) for t in reading.traces] == [
        ("b", 5),
        ("a", 3),
        ("b", 5),
        ("a", 9),
    ]
    for trace in reading.traces:
        stream = stream_at(session, trace.sae, reading.token_ids)
        expected = session.saes[trace.sae].encode(stream)[:, trace.feature]
        assert list(trace.acts) == pytest.approx(expected.tolist(), abs=1e-4)
        assert "-0.0" not in json.dumps(trace.to_dict())
    assert any(act > 0 for trace in reading.traces for act in trace.acts)


def test_a_chat_is_read_as_the_model_gets_it_and_special_tokens_show_their_names():
    session = two_saes()
    reading = session.read([{"role": "user", "content": "you see"}], [])
    assert reading.texts == ("<bos>", "<turn>", "user", " you", " see", "<turn>")
    assert reading.special == (True, True, False, False, False, True)
    assert reading.traces == ()
    assert json.loads(json.dumps(reading.to_dict()))["token_ids"] == list(reading.token_ids)


def test_labels_and_maxima_come_from_the_features_file(tmp_path):
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    facts = {"3": {"max_act": 2.5, "label": "bridges"}, "4": {"max_act": 0.0}}
    content = {"schema_version": 1, "features": facts}
    (folder / "features.json").write_text(json.dumps(content))
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    session = Session(model, {"sae": Sae.load(folder)})
    traces = session.read(TEXT, [(None, 3), (None, 4), (None, 5)]).traces
    assert [(t.label, t.max_act) for t in traces] == [("bridges", 2.5), (None, None), (None, None)]


def test_reading_stops_at_the_last_layer_it_needs_and_leaves_no_hook():
    session = two_saes()
    last = session.model.hf.get_submodule("model.layers.2")
    ran = []
    handle = last.register_forward_hook(lambda *_: ran.append(1))
    session.read(TEXT, [("b", 5)])
    session.strongest(TEXT, 2)
    handle.remove()
    assert ran == []
    assert not [m for m in session.model.hf.modules() if m._forward_hooks]


def test_the_strongest_features_of_a_token_are_those_of_all_saes_that_fire():
    session = two_saes()
    ids = session.read(TEXT, []).token_ids
    for position in (0, 3, len(ids) - 1):
        expected = sorted(
            (
                (float(act), alias, feature)
                for alias in session.saes
                for feature, act in enumerate(
                    session.saes[alias].encode(stream_at(session, alias, ids)[position])
                )
                if act > 0
            ),
            reverse=True,
        )
        everything = session.strongest(TEXT, position, count=1000)
        assert [(f.sae, f.feature) for f in everything] == [(a, f) for _, a, f in expected]
        assert [f.activation for f in everything] == pytest.approx(
            [act for act, _, _ in expected], rel=1e-4, abs=1e-4
        )
        assert session.strongest(TEXT, position, count=3) == everything[:3]
    assert json.loads(json.dumps(everything[0].to_dict()))["sae"] in session.saes


def test_strongest_encodes_one_token_only(monkeypatch):
    from steering.sae import Sae

    session, seen, encode = two_saes(), [], Sae.encode
    monkeypatch.setattr(Sae, "encode", lambda self, x: seen.append(x.shape) or encode(self, x))
    session.strongest(TEXT, 2)
    assert seen == [(tiny.D_MODEL,)] * 2


@pytest.mark.parametrize("position", [-1, 8, 1000])
def test_a_position_outside_the_text_is_refused(position):
    from steering.errors import PromptError

    with pytest.raises(PromptError, match=rf"Position {position} is not in .* 0 to 7"):
        two_saes().strongest(TEXT, position)


def test_what_cannot_be_read_is_refused_in_words():
    from steering.errors import AliasError, FeatureError, PromptError

    session = two_saes()
    with pytest.raises(AliasError, match="Several SAEs"):
        session.read(TEXT, [(None, 3)])
    with pytest.raises(FeatureError, match="features 0 to 63"):
        session.read(TEXT, [("a", 64)])
    with pytest.raises(PromptError, match="at least 1"):
        session.strongest(TEXT, 1, count=0)


def test_a_text_may_fill_the_whole_context_and_no_more():
    from steering.errors import PromptError

    session = two_saes()
    full = " ".join(["the"] * (tiny.N_CTX - 1))
    assert len(session.read(full, [("b", 5)]).traces[0].acts) == tiny.N_CTX
    with pytest.raises(PromptError, match=r"65 tokens.*reads 64\. Shorten it by at least 1"):
        session.read(f"{full} the", [])
