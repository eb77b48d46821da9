"""Models: prompts into tokens, chat templates, hook names, and folders that are not models."""

from typing import Any

import pytest
import torch

from tests import tiny


def model(*, chat: bool = False):
    from steering.models import LanguageModel

    return LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer(chat=chat))


def messages(*turns: tuple[Any, str]):
    from steering.interventions import Message

    return [Message(role=role, content=content) for role, content in turns]


def test_bos_is_put_first_once_and_only_when_asked():
    lm = model()
    bos = lm.tokenizer.bos_token_id
    assert lm.encode("the bridge", prepend_bos=True).ids[0] == bos
    assert lm.encode("<bos> the bridge", prepend_bos=True).ids.count(bos) == 1
    assert bos not in lm.encode("the bridge", prepend_bos=False).ids


def test_a_chat_goes_through_the_template_without_a_second_bos():
    lm = model(chat=True)
    encoded = lm.encode(messages(("system", "fog"), ("user", "are you red")), prepend_bos=True)
    assert encoded.format == "chat_template"
    assert encoded.ids.count(lm.tokenizer.bos_token_id) == 1
    assert encoded.text == "<bos><turn>system fog <turn>user are you red <turn>"
    assert encoded.special[-1], "this template ends on a special token"


def test_a_chat_without_a_template_becomes_plain_text_and_says_so():
    encoded = model().encode(messages(("user", "are you red")), prepend_bos=True)
    assert encoded.format == "chat_as_text"
    assert encoded.text == "User: are you red\nAssistant:"


def test_a_template_without_a_system_turn_gets_it_in_the_first_users():
    lm = model(chat=True)
    lm.tokenizer = tiny.tokenizer.__wrapped__(chat=True)
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    lm.tokenizer.chat_template = refuse + tiny.CHAT_TEMPLATE
    encoded = lm.encode(messages(("system", "fog"), ("user", "red")), prepend_bos=True)
    assert encoded.text == "<bos><turn>user fog\n\nred <turn>"


def test_messages_that_a_template_refuses_say_why():
    from steering.errors import PromptError

    lm = model(chat=True)
    lm.tokenizer = tiny.tokenizer.__wrapped__(chat=True)
    lm.tokenizer.chat_template = "{{ raise_exception('turns must alternate') }}"
    with pytest.raises(PromptError, match="turns must alternate"):
        lm.encode(messages(("user", "red")), prepend_bos=True)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("blocks.3.hook_resid_post", "blocks.3.hook_resid_post"),
        ("blocks.3.hook_resid_pre", "blocks.2.hook_resid_post"),
        ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_pre"),
        ("blocks.3.attn.hook_z", "blocks.3.attn.hook_z"),
        ("blocks.12.hook_mlp_out", "blocks.12.hook_mlp_out"),
    ],
)
def test_hook_names_are_read_and_one_place_has_one_name(name, canonical):
    from steering.hook_points import HookPoint

    assert HookPoint.parse(name).name == canonical


@pytest.mark.parametrize(
    "name",
    [
        "",
        "hook_embed",
        "1.hook_resid_post",
        "blocks.x.hook_resid_post",
        "blocks.-1.hook_resid_post",
        "blocks.1.hook_z",
        "blocks.1.hook_resid_mid",
        "blocks.1.ln2.hook_normalized",
    ],
)
def test_other_hook_names_are_refused_by_name(name):
    from steering.errors import HookNameError
    from steering.hook_points import HookPoint

    with pytest.raises(HookNameError, match="edits are exact at"):
        HookPoint.parse(name)


def test_the_twin_under_the_bridge_shares_every_parameter_and_the_original_stays_pristine():
    lm = model()
    kinds = [type(module) for module in lm.hf.modules()]
    owned = {weight.data_ptr() for weight in lm.hf.parameters()}
    assert owned <= {weight.data_ptr() for weight in lm.bridge.parameters()}
    assert [type(module) for module in lm.hf.modules()] == kinds


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "neox"])
def test_the_bridge_and_the_pristine_model_agree(kind):
    from steering.models import LanguageModel

    lm = LanguageModel("tiny", tiny.hf_model(kind), tiny.tokenizer())
    ids = torch.tensor([[0, 5, 6, 7, 8, 9]])
    with torch.no_grad():
        torch.testing.assert_close(lm.hf(ids).logits, lm.bridge(ids), atol=1e-4, rtol=0)


def test_folders_that_are_no_model_say_what_is_missing(tmp_path):
    from steering.errors import LoadError
    from steering.models import LanguageModel

    with pytest.raises(LoadError, match=r"no folder.*Session\.demo"):
        LanguageModel.load(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LoadError, match=r"no model weights.*config\.json"):
        LanguageModel.load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(LoadError, match="Could not load model"):
        LanguageModel.load(str(tmp_path))


@pytest.mark.parametrize("dtype", ["float31", "int8", "Tensor"])
def test_what_is_no_dtype_is_refused(dtype, tmp_path):
    from steering.errors import LoadError
    from steering.models import LanguageModel

    folder = tiny.tiny_model_folder(tmp_path)
    with pytest.raises(LoadError, match=f"'{dtype}' is no dtype"):
        LanguageModel.load(str(folder), dtype=dtype)


def test_a_model_in_training_mode_is_refused():
    from steering.errors import LoadError
    from steering.models import LanguageModel

    with pytest.raises(LoadError, match=r"training mode.*eval"):
        LanguageModel("tiny", tiny.hf_model().train(), tiny.tokenizer())


def test_a_model_without_a_key_value_cache_is_refused():
    from transformers import MambaConfig, MambaForCausalLM

    from steering.errors import LoadError
    from steering.models import LanguageModel

    recurrent = MambaForCausalLM(MambaConfig(vocab_size=68, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(LoadError, match="MambaForCausalLM keeps no key-value cache"):
        LanguageModel("tiny", recurrent.eval(), tiny.tokenizer())


def test_a_model_with_offloaded_parts_is_refused():
    from steering.errors import LoadError
    from steering.models import LanguageModel

    offloaded = tiny.hf_model()
    torch.nn.Module.to(offloaded, "meta")
    with pytest.raises(LoadError, match="offloaded"):
        LanguageModel("tiny", offloaded, tiny.tokenizer())


@pytest.mark.parametrize("make", [tiny.byte_level, tiny.byte_fallback, tiny.tokenizer])
@pytest.mark.parametrize(
    "text", ["a bad cafe", "é", "a 🌉🌉🌉🌉 b", "日本語 abc", "🌉", "bridge of fog", "\ufffd a"]
)
def test_the_pieces_of_ordinary_tokens_spell_the_text(make, text):
    from steering.models import LanguageModel

    lm = LanguageModel("tiny", tiny.hf_model(), make())
    ids = lm.tokenizer.encode(text, add_special_tokens=False)
    found = lm.pieces(ids)
    assert len(found) == len(ids)
    ordinary = [piece for i, piece in zip(ids, found, strict=True) if i not in lm.special_ids]
    assert "".join(ordinary) == lm.decode(ids)


def test_a_special_token_shows_its_name_and_splits_nothing():
    from steering.models import LanguageModel

    lm = LanguageModel("tiny", tiny.hf_model(), tiny.byte_level())
    bridge = lm.tokenizer.encode("🌉", add_special_tokens=False)
    found = lm.pieces([0, *bridge, 0, *bridge[:2]])
    assert found == ("<|end|>", "", "", "", "🌉", "<|end|>", "", "\ufffd")


def test_no_token_has_no_piece():
    assert model().pieces([]) == ()
