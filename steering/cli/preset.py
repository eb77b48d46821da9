"""The commands `steer preset …`: list, show, save, validate, and the published schema."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from steering.cli import options as flag
from steering.cli.report import BAD_INPUT, dump_json, reporting

if TYPE_CHECKING:
    from steering.interventions import Message, Resolved
    from steering.presets import Listed

presets_app = typer.Typer(
    no_args_is_help=True, help="Saved interventions with everything their numbers rest on."
)

Name = Annotated[str, typer.Argument(help="A preset's name.")]
NamesOrFiles = Annotated[list[str], typer.Argument(help="Names of presets, or files.")]
Title = Annotated[str | None, typer.Option("--title", help="The name if left out.")]
Description = Annotated[str, typer.Option("--description", help="One sentence.")]
Sample = Annotated[bool, typer.Option("--sample", help="Run each prompt and keep the texts.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace one of this name.")]


@presets_app.command("list")
def list_(presets: flag.PresetsFolder = None, json: flag.Json = False) -> None:
    """List the packaged presets and your own."""
    with reporting():
        from steering.cli.terminal import visible
        from steering.presets import list_presets

        found = list_presets(presets)
        if json:
            typer.echo(dump_json([_about(each) for each in found]))
            return
        for each in found:
            said = each.preset.title if each.preset else f"cannot be read: {each.problem}"
            typer.echo(f"{each.name}\t{visible(said)}")
        if not found:
            typer.echo("There are no presets yet. Make one with `steer preset save`.", err=True)


def _about(listed: "Listed") -> dict[str, Any]:
    preset = listed.preset
    return {
        "name": listed.name,
        "title": preset.title if preset else None,
        "description": preset.description if preset else None,
        "model": preset.model if preset else None,
        "edits": preset.summary if preset else None,
        "packaged": listed.packaged,
        "path": str(listed.path),
        "problem": listed.problem,
    }


@presets_app.command()
def show(name: Name, presets: flag.PresetsFolder = None, json: flag.Json = False) -> None:
    """Show one preset."""
    with reporting():
        from steering.cli.terminal import visible
        from steering.presets import load_preset

        preset = load_preset(name, presets)
        if json:
            typer.echo(dump_json(preset.model_dump(mode="json")))
            return
        lines = [preset.title, preset.description, f"model: {preset.model}"]
        for alias, source in preset.saes.items():
            place = source.address or "bundled"
            where = place if isinstance(place, str) else ":".join(place)
            lines.append(f"SAE {alias}: {where} (fingerprint {source.fingerprint})")
        lines += [_edit_line(item) for item in preset.interventions]
        lines += [f"prompt: {_prompt_line(prompt)}" for prompt in preset.prompts]
        for sample in preset.samples:
            lines += [f"baseline: {sample.baseline}", f"steered: {sample.steered}"]
        typer.echo("\n".join(visible(line) for line in lines if line))


def _prompt_line(prompt: "str | tuple[Message, ...]") -> str:
    if isinstance(prompt, str):
        return prompt
    return " | ".join(f"{message.role}: {message.content}" for message in prompt)


def _edit_line(item: "Resolved") -> str:
    came_to = "" if item.raw is None else f" = {item.raw:.6g} raw"
    rests_on = f" (max_act {item.max_act:.6g}, {item.max_act_source})" if item.max_act else ""
    return f"{item.intervention.label()}{came_to}{rests_on}, at {item.hook_name}"


@presets_app.command()
def validate(names: NamesOrFiles, presets: flag.PresetsFolder = None) -> None:
    """Check preset files; exit code 2 where one cannot be read."""
    bad = False
    for name in names:
        try:
            with reporting():
                from steering.presets import load_preset

                load_preset(name, presets)
                typer.echo(f"{name}: fine")
        except typer.Exit:
            bad = True
    if bad:
        raise typer.Exit(BAD_INPUT)


@presets_app.command()
def schema() -> None:
    """Print the JSON Schema of preset files."""
    from steering.presets import preset_json_schema

    typer.echo(dump_json(preset_json_schema()))


@presets_app.command()
def save(
    name: Name,
    feature: flag.Features = None,
    prompt: flag.Prompts = None,
    title: Title = None,
    description: Description = "",
    sample: Sample = False,
    overwrite: Overwrite = False,
    presets: flag.PresetsFolder = None,
    positions: flag.Where = None,
    paper: flag.Paper = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    chat: flag.Chat = False,
    system: flag.System = None,
    tokens: flag.MaxNewTokens = None,
    temperature: flag.Temperature = None,
    top_k: flag.TopK = None,
    top_p: flag.TopP = None,
    min_p: flag.MinP = None,
    penalty: flag.RepetitionPenalty = None,
    seed: flag.Seed = None,
    stop: flag.Stop = None,
    past_eos: flag.NoStopAtEos = False,
) -> None:
    """Save features and sampling as a preset of your own."""
    with reporting():
        from steering.cli import run
        from steering.cli.load import Place
        from steering.presets import require_free, save_preset
        from steering.presets.use import About, make_preset

        steer = run.Wanted(tuple(feature or ()), None, presets, positions, paper)
        request = run.read_request(steer, Place(model, tuple(sae or ()), device, dtype))
        sampling = run.SamplingFlags(
            tokens, temperature, top_k, top_p, min_p, penalty, seed, stop, past_eos
        ).over(None)
        prompts = [run.as_prompt(text, chat=chat, system=system) for text in prompt or ()]
        # Before a model is loaded and texts are written for nothing.
        require_free(name, presets, overwrite=overwrite)
        ready = run.prepare(request)
        made = make_preset(
            ready.session,
            ready.interventions,
            About(name, title or name, description),
            sampling=sampling,
            prompts=prompts,
            samples=run.written(ready, prompts, sampling) if sample else (),
        )
        typer.echo(str(save_preset(made, presets, overwrite=overwrite)))
