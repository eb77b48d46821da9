"""The Explore tab: where its components stand. What they show is made in `ui.explore`."""

from dataclasses import dataclass

import gradio as gr

from ui.component import component
from ui.explore import building, card, finding, table, trying


@dataclass(frozen=True)
class Explore:
    """The Explore tab."""

    tab: gr.Tab
    atlas: gr.HTML
    """Whether there is an atlas, and how to build one."""
    sae: gr.Dropdown
    """Which SAE is explored; in sight where several are loaded."""
    words: gr.Textbox
    other: gr.Textbox
    """The second text, in sight where two are compared."""
    way: gr.Radio
    found: gr.HTML
    map: gr.Column
    """Where the map stands: fill it with `with parts.explore.map:`."""
    card: gr.HTML
    trial: gr.HTML
    opened: gr.State
    """The feature whose card is open, as `{"sae": alias, "feature": index}`, or None.

    Whatever writes it opens that card."""

    @property
    def pickable(self) -> tuple[gr.HTML, ...]:
        """What has Add buttons; they trigger `pick_feature`."""
        return self.found, self.card, self.trial

    @property
    def openable(self) -> tuple[gr.HTML, ...]:
        """What has buttons that open a feature's card; they trigger `open_feature`."""
        return self.found, self.card


def explore_tab(tab: gr.Tab) -> Explore:
    """Put the tab's components on the page; call it inside the tab."""
    atlas = component("explore-atlas", building.EMPTY)
    with gr.Row(elem_id="explore"):
        with gr.Column(scale=1, min_width=320):
            sae = gr.Dropdown(
                [], label="SAE", visible=False, elem_id="explore-sae", interactive=True
            )
            words = gr.Textbox(
                label="Find features",
                placeholder="Words, a token, or a text",
                submit_btn="Search",
                lines=1,
                max_lines=6,
                elem_id="explore-words",
                interactive=True,
            )
            other = gr.Textbox(
                label="Second text: what the first has more of, and what this one has",
                submit_btn="Search",
                lines=1,
                max_lines=6,
                visible=False,
                elem_id="explore-other",
                interactive=True,
            )
            way = gr.Radio(
                [(shown, name) for name, shown in finding.WAYS.items()],
                value="label",
                label="How to search",
                elem_id="explore-way",
                interactive=True,
            )
            found = component("explore-found", table.EMPTY)
        with gr.Column(scale=1, min_width=320):
            with gr.Column(elem_id="explore-map") as slot:
                pass
            opened_card = component("explore-card", card.EMPTY)
    trial = component("explore-try", trying.EMPTY)
    return Explore(
        tab=tab,
        atlas=atlas,
        sae=sae,
        words=words,
        other=other,
        way=way,
        found=found,
        map=slot,
        card=opened_card,
        trial=trial,
        opened=gr.State(None),
    )
