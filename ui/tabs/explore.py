"""The Explore tab: where its components stand. What they show is made in `ui.explore`."""

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True)
class Explore:
    """The Explore tab."""

    tab: gr.Tab
    map: gr.Column
    """Where the map stands: fill it with `with parts.explore.map:`."""
    opened: gr.State
    """The feature whose card is open, as `{"sae": alias, "feature": index}`, or None.

    Whatever writes it opens that card."""


def explore_tab(tab: gr.Tab) -> Explore:
    """Put the tab's components on the page; call it inside the tab."""
    with gr.Row(), gr.Column(scale=1, min_width=320, elem_id="explore-map") as slot:
        pass
    return Explore(tab=tab, map=slot, opened=gr.State(None))
