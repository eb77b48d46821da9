"""Every kind of mask, schedule and condition, as fields of an intervention."""


def positions(**fields):
    from steering.interventions import Positions

    return {"positions": Positions(**fields)}


def schedule(kind, tokens):
    from steering.interventions import Schedule

    return {"schedule": Schedule(kind=kind, tokens=tokens)}


def condition(**fields):
    from steering.interventions import Condition

    return {"condition": Condition(**fields)}


WHEN = {
    "all": lambda: {},
    "prompt": lambda: positions(where="prompt"),
    "generated": lambda: positions(where="generated"),
    "window": lambda: positions(start=4, stop=14),
    "paper": lambda: positions(first=True, special=True),
    "ramp": lambda: schedule("ramp", 4),
    "decay": lambda: schedule("decay", 3),
    "stop_after": lambda: schedule("stop_after", 3),
    "every_n": lambda: schedule("every_n", 2),
    "on recent": lambda: condition(feature=5, above=1.0, on="recent", tokens=3),
    "on prompt": lambda: condition(feature=5, above=1.0, on="prompt"),
}
