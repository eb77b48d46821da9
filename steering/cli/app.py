"""The command `steer`: reads flags, runs one thing, reports in words.

Nothing heavy is imported before a command runs, so `steer --help` answers at once. Every error
raised on purpose becomes one message and exit code 2; anything else is a bug and shows itself.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from steering.cli import options as flag
from steering.cli.atlas import atlas_app
from steering.cli.features import features_app
from steering.cli.preset import presets_app
from steering.cli.report import dump_json, reporting, say_error, say_note, writing

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Steer a language model with single SAE features while it writes.",
)
app.add_typer(presets_app, name="preset")
app.add_typer(atlas_app, name="atlas")
app.add_typer(features_app, name="features")


def _print_version(asked: bool) -> bool:
    if asked:
        try:
            found = version("steering-playground")
        except PackageNotFoundError:
            found = "unknown: run from its folder, not installed"
        typer.echo(found)
        raise typer.Exit
    return asked


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Steer a language model with single SAE features while it writes."""


@app.command()
def compare(
    prompt: flag.Prompt = None,
    feature: flag.Features = None,
    preset: flag.PresetName = None,
    presets: flag.PresetsFolder = None,
    positions: flag.Where = None,
    paper: flag.Paper = False,
    force: flag.Force = False,
    allow_inert: flag.AllowInert = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    chat: flag.Chat = False,
    system: flag.System = None,
    messages: flag.Messages = None,
    tokens: flag.MaxNewTokens = None,
    temperature: flag.Temperature = None,
    top_k: flag.TopK = None,
    top_p: flag.TopP = None,
    min_p: flag.MinP = None,
    penalty: flag.RepetitionPenalty = None,
    seed: flag.Seed = None,
    stop: flag.Stop = None,
    past_eos: flag.NoStopAtEos = False,
    samples: flag.Samples = 1,
    json: flag.Json = False,
) -> None:
    """Write the unsteered and the steered text side by side."""
    with reporting():
        from steering.cli import run
        from steering.cli.load import Place

        steer = run.Wanted(tuple(feature or ()), preset, presets, positions, paper, force)
        request = run.read_request(steer, Place(model, tuple(sae or ()), device, dtype))
        sampling = run.SamplingFlags(
            tokens, temperature, top_k, top_p, min_p, penalty, seed, stop, past_eos
        ).over(request.preset)
        if messages is None:
            text = run.read_prompt(prompt, request.preset, chat=chat, system=system)
        else:
            text = run.read_messages(messages, prompt, chat=chat, system=system)
        if request.preset is not None:
            say_note(run.about_preset(request.preset, text))
        ready = run.prepare(request)
        stream = ready.session.stream(
            text, ready.interventions, sampling, samples=samples, allow_inert=allow_inert
        )
        writing(stream, ready.warnings, json=json)


@app.command()
def demo(
    claim: flag.Claims = None,
    samples: flag.ClaimSamples = 200,
    seed: flag.ClaimSeed = None,
    bundle: flag.Bundle = None,
    presets: flag.ClaimPresets = None,
    card: flag.Card = Path("steer-demo.html"),
    no_card: flag.NoCard = False,
    markdown: flag.AsMarkdown = False,
    json: flag.Json = False,
) -> None:
    """Measure the study's claims on the bundled model; exit code 1 where one misses its bar."""
    with reporting():
        from steering.cli.demo import MISSED, run_demo, say_report, write_card

        found = run_demo(
            only=tuple(claim or ()), samples=samples, seed=seed, bundle=bundle, presets=presets
        )
        say_report(found, json=json, markdown=markdown)
        if not no_card:
            write_card(found, card)
        if found.met < len(found.results):
            raise typer.Exit(MISSED)


@app.command()
def doctor(
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    json: flag.Json = False,
) -> None:
    """Check that a model and its SAEs belong together; exit code 1 where something is off."""
    with reporting():
        from steering.cli.load import Place, choose_source, load_session

        place = Place(model, tuple(sae or ()), device, dtype)
        session = load_session(choose_source(place), place)
        from steering.doctor import examine

        reports = [examine(session, alias) for alias in session.saes]
        if json:
            typer.echo(dump_json([report.to_dict() for report in reports]))
        else:
            typer.echo("\n\n".join(report.to_text() for report in reports))
        for report in reports:
            for finding in report.findings:
                say_error(f"{report.name}: {finding.what} {finding.cause}")
    if any(report.findings for report in reports):
        raise typer.Exit(1)
