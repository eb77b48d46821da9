"""How often each packaged preset does what it says: `python -m benchmarks.rates`.

Seeds that chose nothing, the preset's own prompts, and as the honest control the same coefficients
along random directions.
"""

import re
from collections import Counter

from rich.console import Console
from rich.table import Table

from steering import Intervention, RandomControl, Sampling, Session, load_preset

SEEDS = 24
FIRST_SEED = 1000
HITS = {
    "golden-gate": r"Golden Gate|San Francisco|Alcatraz|Presidio|orange steel",
    "flattery": r"masterpiece|genius|perfect|wonder|wept|best",
    "scam": r"(?:Click|Call|Send|Pay|Give)\b.*\b(?:link|number|password|money|today|now)",
}


def main() -> None:
    """Count and print."""
    session = Session.demo()
    table = Table(
        title=f"hits by regular expression, seeds {FIRST_SEED} to {FIRST_SEED + SEEDS - 1}"
    )
    for column in ("preset", "unsteered", "steered", "random directions"):
        table.add_column(column)
    for name, pattern in HITS.items():
        hits, rows = _count(session, name, re.compile(pattern))
        shares = [f"{hits[group]} / {rows[group]}" for group in ("baseline", "steered", "random")]
        table.add_row(name, *shares)
    Console(width=100).print(table)


def _count(
    session: Session, name: str, pattern: re.Pattern[str]
) -> tuple[Counter[str], Counter[str]]:
    """Hits and rows by group, over every prompt of the preset."""
    preset = load_preset(name)
    edits = [item.intervention for item in preset.interventions]
    variants = {
        "steered": edits,
        "random 1": _randomised(edits, 1),
        "random 2": _randomised(edits, 9),
    }
    sampling = Sampling.model_validate({**preset.sampling.model_dump(), "seed": FIRST_SEED})
    made = session.compare(
        list(preset.prompts), variants, sampling, samples=SEEDS, allow_inert=True
    )
    hits: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for row in made.rows:
        group = row.name.split()[0]
        rows[group] += 1
        hits[group] += bool(pattern.search(row.text))
    return hits, rows


def _randomised(edits: list[Intervention], seed: int) -> list[Intervention]:
    """The same coefficients, each along a random direction of its own."""
    return [
        edit.model_copy(update={"control": RandomControl(seed=seed + i)})
        for i, edit in enumerate(edits)
    ]


if __name__ == "__main__":
    main()
