"""The flags of the command line, each declared once: names, help, nothing else."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_STEER, _MODEL, _WRITE, _OUT = "What to steer", "Model and SAEs", "How to write", "Output"

Prompt = Annotated[
    str | None,
    typer.Argument(help="The text to continue; `-`, or a pipe, reads it from standard input."),
]
Prompts = Annotated[
    list[str] | None, typer.Option("--prompt", help="A prompt to keep; repeatable.")
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        "--feature",
        "-f",
        help="`2017=10` clamps feature 2017 at 10 × its maximum; `2017:add=0.5norm`, "
        "`2017:scale=2`, `2017:ablate`, `alias/2017=10`, a Neuronpedia address, or an intervention "
        "as a JSON object. Repeatable.",
        rich_help_panel=_STEER,
    ),
]
PresetName = Annotated[
    str | None,
    typer.Option("--preset", "-p", help="A preset's name or file.", rich_help_panel=_STEER),
]
PresetsFolder = Annotated[
    Path | None,
    typer.Option("--presets", help="Folder of your own presets.", rich_help_panel=_STEER),
]
Where = Annotated[
    Literal["all", "prompt", "generated"] | None,
    typer.Option("--positions", help="Which tokens to edit.", rich_help_panel=_STEER),
]
Paper = Annotated[
    bool,
    typer.Option(
        "--paper",
        help="Edit every position, the first and special tokens too (Templeton et al.).",
        rich_help_panel=_STEER,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Use a preset on another SAE.", rich_help_panel=_STEER),
]
AllowInert = Annotated[
    bool,
    typer.Option(
        "--allow-inert", help="Only warn where an edit changed nothing.", rich_help_panel=_STEER
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Hub id or folder; without it, what the preset, SAE or address names, or the bundled "
        "model.",
        rich_help_panel=_MODEL,
    ),
]
Saes = Annotated[
    list[str] | None,
    typer.Option(
        "--sae",
        help="`RELEASE:SAE_ID` or a folder; `ALIAS=` in front where several. Repeatable.",
        rich_help_panel=_MODEL,
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Such as `cuda` or `cpu`.", rich_help_panel=_MODEL),
]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="float32, bfloat16 or float16.", rich_help_panel=_MODEL),
]
Chat = Annotated[
    bool,
    typer.Option(
        "--chat", help="Send the prompt as a user's chat message.", rich_help_panel=_WRITE
    ),
]
Messages = Annotated[
    str | None,
    typer.Option(
        "--messages",
        help='A chat as the prompt: `[{"role": "user", "content": "hi"}]`, or `@file.json`.',
        rich_help_panel=_WRITE,
    ),
]
System = Annotated[
    str | None,
    typer.Option("--system", help="The system message of a chat.", rich_help_panel=_WRITE),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option("--max-new-tokens", "-n", help="Default 60.", rich_help_panel=_WRITE),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", "-t", help="0 is greedy; default 0.7.", rich_help_panel=_WRITE),
]
TopK = Annotated[int | None, typer.Option("--top-k", rich_help_panel=_WRITE)]
TopP = Annotated[float | None, typer.Option("--top-p", rich_help_panel=_WRITE)]
MinP = Annotated[float | None, typer.Option("--min-p", rich_help_panel=_WRITE)]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option("--repetition-penalty", help="Default 1.", rich_help_panel=_WRITE),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Default 0.", rich_help_panel=_WRITE)]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", help="End a text before this string; repeatable.", rich_help_panel=_WRITE
    ),
]
Samples = Annotated[
    int,
    typer.Option(
        "--samples", min=1, help="Repeats, each with its own seed.", rich_help_panel=_WRITE
    ),
]
NoStopAtEos = Annotated[
    bool,
    typer.Option("--no-stop-at-eos", help="Write on past the end token.", rich_help_panel=_WRITE),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the whole record as JSON.", rich_help_panel=_OUT)
]

AtlasFile = Annotated[
    Path | None,
    typer.Option("--atlas", help="The atlas file; the SAE's own place if left out."),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")]

Claims = Annotated[
    list[str] | None,
    typer.Option("--claim", help="Only this claim, by its name; repeatable."),
]
ClaimSamples = Annotated[int, typer.Option("--samples", help="Texts in each cell.")]
ClaimSeed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Of the first claim; the others count on.")
]
Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", help="Another build of the bundled model (steering.demo.train)."),
]
ClaimPresets = Annotated[
    Path | None, typer.Option("--presets", help="Folder of that build's presets.")
]
Card = Annotated[Path, typer.Option("--card", help="Where the HTML page is written.")]
NoCard = Annotated[bool, typer.Option("--no-card", help="Write no page.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="The table as Markdown.")]
