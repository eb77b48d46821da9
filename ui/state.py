"""The whole state of a page as one value: a link carries it, and every export is made from it.

It knows what a person set up and no session: which rows a decode needs follows from it alone.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from steering.interventions import Finite, Intervention, Kind, Message, Sampling
from steering.records import BASELINE
from steering.requests import STEERED, RowRequest
from steering.variants import along_random, at_strength

STATE_VERSION = 1
MOST_EXTRA_PANES = 6
MOST_ROWS = 64
MOST_TURNS = 400
Name = Annotated[str, Field(max_length=1100)]
Text = Annotated[str, Field(max_length=100_000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class StrengthPane(Kind):
    """The same edits with every strength times a factor."""

    kind: Literal["strength"] = "strength"
    factor: Finite = 2.0

    @property
    def title(self) -> str:
        """What the pane is called."""
        return f"Steered × {self.factor:g}"


class RandomPane(Kind):
    """The same coefficients along a random direction of equal norm: the honest control."""

    kind: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0, lt=2**63)

    @property
    def title(self) -> str:
        """What the pane is called."""
        return f"Random direction {self.seed}"


class SystemPane(Kind):
    """No edit: the same is asked for in words, the baseline that steering has to beat."""

    kind: Literal["system"] = "system"
    text: Annotated[str, Field(min_length=1, max_length=1000)]

    @property
    def title(self) -> str:
        """What the pane is called."""
        # In full, since a side's memory goes by its name; two that ask the same are the same.
        return f"Asked in words: {self.text}"


ExtraPane = Annotated[StrengthPane | RandomPane | SystemPane, Field(discriminator="kind")]


class Turn(_Frozen):
    """One turn of a chat: what the person said, and what each side answered."""

    user: Text
    replies: dict[Name, Text] = {}


class PageState(_Frozen):
    """Everything that a page shows, but for what was written."""

    version: Literal[1] = STATE_VERSION
    model: str
    saes: dict[str, str]
    """The fingerprint of each SAE, by alias."""
    on: bool = True
    interventions: Annotated[tuple[Intervention, ...], Field(max_length=MOST_ROWS)] = ()
    prompt: Text = ""
    chat: bool = False
    system: Text = ""
    turns: Annotated[tuple[Turn, ...], Field(max_length=MOST_TURNS)] = ()
    sampling: Sampling = Sampling()
    panes: Annotated[tuple[ExtraPane, ...], Field(max_length=MOST_EXTRA_PANES)] = ()
    blind: bool = False

    @property
    def acting(self) -> tuple[Intervention, ...]:
        """The edits that are switched on; none while steering is off as a whole."""
        return tuple(each for each in self.interventions if each.enabled) if self.on else ()


def row_requests(state: PageState) -> list[RowRequest]:
    """The rows of one decode: the unsteered side, the steered one, and every extra pane."""
    rows = [
        RowRequest(BASELINE, prompt_of(state, BASELINE)),
        RowRequest(STEERED, prompt_of(state, STEERED), state.acting),
    ]
    for pane in state.panes:
        name = _unused(pane.title, [row.name for row in rows])
        asked = pane.text if isinstance(pane, SystemPane) else ""
        rows.append(RowRequest(name, prompt_of(state, name, asked), _edits(pane, state.acting)))
    return rows


def _edits(pane: ExtraPane, acting: Sequence[Intervention]) -> tuple[Intervention, ...]:
    if isinstance(pane, StrengthPane):
        return at_strength(acting, pane.factor)
    return along_random(acting, pane.seed) if isinstance(pane, RandomPane) else ()


def prompt_of(state: PageState, side: str, asked: str = "") -> str | tuple[Message, ...]:
    """What one side reads: each remembers its own answers. `asked` is a wish in words."""
    if not state.chat:
        return f"{asked}\n\n{state.prompt}" if asked.strip() else state.prompt
    system = "\n\n".join(text for text in (state.system, asked) if text.strip())
    messages = [Message(role="system", content=system)] if system else []
    for turn in state.turns:
        messages.append(Message(role="user", content=turn.user))
        messages.append(Message(role="assistant", content=reply_of(turn, side)))
    return (*messages, Message(role="user", content=state.prompt))


def reply_of(turn: Turn, side: str) -> str:
    """What a side answered; one that came later takes over the steered side's memory."""
    # An empty answer is an answer too: the other side's must not take its place.
    return next(
        (turn.replies[name] for name in (side, STEERED, BASELINE) if name in turn.replies), ""
    )


def reopened(state: PageState) -> PageState:
    """The same; a chat that waits for its next message stands before its last one again."""
    if not state.chat or state.prompt.strip() or not state.turns:
        return state
    return state.model_copy(update={"prompt": state.turns[-1].user, "turns": state.turns[:-1]})


def chat_from(messages: Sequence[Message]) -> dict[str, object]:
    """The fields of a state that stands before the last message of a chat."""
    system = "\n\n".join(each.content for each in messages if each.role == "system")
    turns: list[Turn] = []
    prompt = ""
    for each in messages:
        if each.role == "user":
            prompt = f"{prompt}\n\n{each.content}" if prompt else each.content
        elif each.role == "assistant":
            turns.append(Turn(user=prompt, replies={BASELINE: each.content, STEERED: each.content}))
            prompt = ""
    return {"chat": True, "system": system, "turns": tuple(turns), "prompt": prompt}


def _unused(title: str, taken: Sequence[str]) -> str:
    name, number = title, 2
    while name in taken:
        name, number = f"{title} ({number})", number + 1
    return name
