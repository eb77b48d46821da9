"""The page as a command, a script and a request, made when its tab is opened or refreshed."""

from typing import Any

import gradio as gr

from ui import form
from ui.exports import as_command, as_curl, as_script
from ui.host import Host
from ui.layout import Layout
from ui.toasts import PLUMBING, toasting_or


def wire(host: Host, parts: Layout) -> None:
    """The Export tab; what cannot be exported empties it, so that nothing old is taken for new."""
    exports = parts.exports

    @toasting_or(["", "", ""])
    def export(request: gr.Request, *values: Any) -> Any:
        state = form.current(host, values)
        address = str(request.request.base_url) if request.request else ""
        return [
            as_command(state, host.session),
            as_script(state, host.session),
            as_curl(state, address),
        ]

    shown = [exports.command, exports.program, exports.curl]
    for told in (exports.tab.select, exports.refresh.click):
        told(export, parts.form, shown, **PLUMBING)
