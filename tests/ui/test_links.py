"""Links carry any state, and a link that cannot be used says why in words."""

import base64
import json
import random
import zlib

import pytest

from tests.tiny import intervention
from tests.ui.pages import plain_direction, turns


def page(**fields):
    from ui.state import PageState

    saes = {"sae": "0123456789abcdef"}
    return PageState(**{"model": "gpt2", "saes": saes, "prompt": "the bridge", **fields})


def packed(data, level=9):
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(zlib.compress(text, level)).decode().rstrip("=")


def full():
    """A state in which nothing has its default."""
    from steering.interventions import (
        Condition,
        FeatureControl,
        Positions,
        RandomControl,
        Sampling,
        Schedule,
    )

    where = {
        "positions": Positions(where="generated", start=2, stop=40, first=True, special=True),
        "schedule": Schedule(kind="decay", tokens=8),
        "condition": Condition(feature=7, sae="sae", above=0.25, on="prompt", tokens=3),
    }
    return page(
        on=False,
        interventions=[
            intervention(3, sae="sae", strength=1 / 3, unit="raw", max_act=4.5, **where),
            intervention(4, edit="scale", strength=0.0, control=RandomControl(), enabled=False),
            intervention(5, edit="ablate", control=FeatureControl(feature=6)),
            intervention(8, edit="add", strength=-1e-12, unit="norm"),
        ],
        prompt="“日本語” 🌉 <img src=x onerror=1>\n\t\0",
        chat=True,
        system="S",
        turns=turns(("u", {"baseline": "", "steered": "b", "Random direction 0": "c"})),
        sampling=Sampling(
            max_new_tokens=7,
            temperature=0.0,
            top_k=5,
            top_p=0.9,
            min_p=0.1,
            repetition_penalty=1.1,
            seed=2**63 - 1,
            stop=("\n", "User:"),
            stop_at_eos=False,
        ),
        panes=[{"kind": "strength"}, {"kind": "random"}, {"kind": "system", "text": "Be it."}],
        blind=True,
    )


def test_a_link_brings_every_state_back():
    from ui.links import read_link, write_link

    for state in (page(), full(), page(panes=[{"kind": "strength", "factor": -0.1}])):
        assert read_link(write_link(state)) == state


def test_a_plain_direction_is_a_file_and_goes_through_no_link():
    from steering.errors import FeatureError
    from ui.links import read_link, write_link

    asked = page(interventions=[plain_direction()])
    with pytest.raises(FeatureError, match="file of the machine"):
        write_link(asked)
    with pytest.raises(FeatureError, match="file of the machine"):
        read_link(packed(asked.model_dump(mode="json")))


def test_a_link_needs_no_escaping_in_an_address():
    from ui.links import write_link

    assert write_link(full()).replace("-", "").replace("_", "").isalnum()


def test_eight_features_and_a_long_prompt_fit_into_2000_characters():
    from ui.links import write_link

    draw = random.Random(0)
    words = ["fog", "bridge", "tower", "walk", "over", "red", "city", "who", "are", "gate"]
    prompt = " ".join(draw.choices(words, k=80))[:300]
    edits = [
        intervention(
            draw.randrange(2**17),
            sae="sae",
            edit=draw.choice(["add", "clamp", "floor"]),
            strength=round(draw.uniform(-10, 10), 2),
            unit=draw.choice(["max_act", "norm", "raw"]),
            positions={"where": draw.choice(["generated", "prompt"]), "first": True, "start": at},
            schedule={"kind": draw.choice(["decay", "ramp"]), "tokens": draw.randrange(1, 99)},
            condition={"feature": draw.randrange(2**17), "above": round(draw.random(), 3)},
        )
        for at in range(8)
    ]
    assert len(write_link(page(interventions=edits, prompt=prompt))) < 2000


def test_a_state_that_is_too_long_for_an_address_is_refused():
    from ui.links import LinkError, write_link

    draw = random.Random(0)
    with pytest.raises(LinkError, match="Shorten the prompt"):
        write_link(page(prompt="".join(chr(draw.randrange(32, 0x3000)) for _ in range(20_000))))


def test_a_link_of_a_newer_version_says_so():
    from ui.links import LinkError, read_link

    with pytest.raises(LinkError, match="version 2, and this program reads version 1"):
        read_link(packed({"version": 2, "model": "m", "saes": {}, "new": 1}))


def test_a_link_that_unpacks_to_a_gigabyte_is_not_unpacked():
    import tracemalloc

    from ui.links import LinkError, read_link

    # Deflate halves no further than 1:1000, so a bomb that fits is told of as of any broken link.
    pressed = zlib.compressobj(9)
    first, again = [
        pressed.compress(bytes(1_000_000)) + pressed.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    ]
    bomb = first + 999 * again
    small = zlib.compress(bytes(10_000_000), 9)
    for data in (bomb, small):
        link = base64.urlsafe_b64encode(data).decode()
        tracemalloc.start()
        with pytest.raises(LinkError, match="cut or broken"):
            read_link(link)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5_000_000


@pytest.mark.parametrize(
    "link",
    [
        "",
        "é",
        "a",
        "====",
        "%00",
        packed(b"[" * 100_000),
        packed(b"9" * 5000),
        packed([1]),
        packed(b"\xff"),
        packed({}),
        packed({"model": "m", "saes": {}, "cake": 1}),
        packed({"model": "m", "saes": {"a": None}}),
        packed({"model": "m", "saes": {}, "prompt": "\ud800"}),
        packed({"model": "m", "saes": {"\ud800": "x"}}),
        packed({"model": "m", "saes": {}, "\ud800": 1}),
        packed({"model": "m", "saes": {}, "version": None}),
        packed(b'{"model":"m","saes":{},"panes":[{"kind":"strength","factor":NaN}]}'),
        packed({"model": "m", "saes": {}, "sampling": {"seed": 10**30}}),
        packed({"model": "m", "saes": {}, "interventions": [{"feature": 1, "strength": 10**400}]}),
        packed({"model": "m", "saes": {}, "interventions": [{"feature": 1}]}),
        packed({"model": "m", "saes": {}, "interventions": "abc"}),
    ],
)
def test_a_link_that_cannot_be_used_says_so_in_words(link):
    from ui.links import LinkError, read_link

    with pytest.raises(LinkError, match=r"^This link (is cut or broken|cannot be used)"):
        read_link(link)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_link_raises_nothing_but_a_link_error(seed):
    from ui.links import LinkError, read_link, write_link
    from ui.state import PageState

    draw, good = random.Random(seed), write_link(full())
    plain = json.dumps(full().model_dump(mode="json"))
    for _ in range(250):
        at, until = sorted(draw.choices(range(len(good)), k=2))
        cut = [good[:at], good[until:], good[:at] + good[until:], good[:at] + "A_-" + good[at:]]
        spot = draw.randrange(len(plain))
        broken = plain[:spot] + draw.choice('0-9"{}[],:eénull\x00') + plain[spot + 1 :]
        for link in (draw.choice(cut), packed(broken.encode(), 1)):
            try:
                assert isinstance(read_link(link), PageState)
            except LinkError as error:
                assert str(error).startswith("This link")


def test_a_link_is_for_exactly_the_same_model_and_saes():
    from ui.links import LinkError, require_same_saes

    saes = {"sae": "0123456789abcdef"}
    for name in ("gpt2", "gpt2-small", "openai-community/gpt2"):
        require_same_saes(page(), name, saes)
    for loaded in ({"sae": "other"}, {}, {"res": saes["sae"]}, {**saes, "more": "x"}):
        with pytest.raises(LinkError, match="with another SAE"):
            require_same_saes(page(), "gpt2", loaded)
    with pytest.raises(LinkError, match="another model; loaded is 'pythia'"):
        require_same_saes(page(), "pythia", saes)
