"""Points of many dimensions on a plane, near ones near: UMAP, written for tensors.

McInnes et al. 2018, arXiv:1802.03426. Neighbours are exact, and every step runs over all its edges
at once, so that one seed gives one picture. It starts from the two principal directions. This
module knows tensors only.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from steering.atlas.progress import Report

NEIGHBOURS = 15
EPOCHS = 300
_A, _B = 1.577, 0.895
"""Of the curve 1 / (1 + a d^2b) that a smallest distance of 0.1 on the plane asks for."""
_NEGATIVES = 5
_FARTHEST_STEP = 4.0
_BLOCK, _CELLS = 4096, 2**26  # points compared at once: at most 256 MB of distances


def lay_out(
    rows: Float[Tensor, "point d"],
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    report: Report = lambda *_: None,
) -> Float[Tensor, "point 2"]:
    """Places on the plane for unit rows, by cosine distance; `report` hears how far it is."""
    if len(rows) < 3:
        return torch.arange(2.0 * len(rows)).reshape(len(rows), 2)
    chance = torch.Generator().manual_seed(seed)
    head, tail, weight = _edges(*_near(rows, min(NEIGHBOURS, len(rows) - 1), report))
    places = _first_places(rows, chance)
    between = weight.max() / weight
    for epoch in range(epochs):
        due = torch.floor((epoch + 1) / between) > torch.floor(epoch / between)
        step = 1 - epoch / epochs
        places = places + step * _moves(places, head[due], tail[due], chance)
        report("layout", epoch + 1, epochs)
    return places - places.mean(0)


def _near(
    rows: Float[Tensor, "point d"], count: int, report: Report
) -> tuple[Float[Tensor, "point near"], Int[Tensor, "point near"]]:
    """The nearest other points by cosine distance, in blocks."""
    distances, indices = [], []
    block = max(1, min(_BLOCK, _CELLS // len(rows)))
    for start in range(0, len(rows), block):
        part = rows[start : start + block] @ rows.T
        part[torch.arange(len(part)), torch.arange(start, start + len(part))] = -math.inf
        values, found = part.topk(count)
        distances.append((1 - values).clamp(min=0))
        indices.append(found)
        report("neighbours", start + len(part), len(rows))
    return torch.cat(distances), torch.cat(indices)


def _edges(
    distances: Float[Tensor, "point near"], indices: Int[Tensor, "point near"]
) -> tuple[Int[Tensor, " edge"], Int[Tensor, " edge"], Float[Tensor, " edge"]]:
    """The fuzzy union of what each point finds near: both ends of an edge, and its weight."""
    one_way = torch.exp(-(distances - distances[:, :1]).clamp(min=0) / _scales(distances)[:, None])
    count, near = distances.shape
    head = torch.arange(count).repeat_interleave(near)
    one, other = head * count + indices.ravel(), indices.ravel() * count + head
    keys, place = torch.unique(torch.cat([one, other]), return_inverse=True)
    twice = one_way.ravel().repeat(2)
    total = torch.zeros(len(keys)).index_add_(0, place, twice)
    squares = torch.zeros(len(keys)).index_add_(0, place, twice.square())
    # An edge stands here once or twice; a + b - ab, where ab is half of (a + b)² - a² - b².
    weight = total - (total.square() - squares) / 2
    ends = torch.stack([keys // count, keys % count])
    kept = weight > weight.max() / EPOCHS
    return ends[0, kept], ends[1, kept], weight[kept]


def _scales(distances: Float[Tensor, "point near"]) -> Float[Tensor, " point"]:
    """The width at which a point's neighbours weigh log2 of their number, by bisection."""
    beyond = (distances - distances[:, :1]).clamp(min=0)
    wanted = math.log2(distances.shape[1] + 1e-9)
    low = torch.full((len(distances),), 1e-6)
    high = torch.full((len(distances),), 1e3)
    for _ in range(64):
        middle = (low + high) / 2
        heavy = torch.exp(-beyond / middle[:, None]).sum(1) > wanted
        high, low = torch.where(heavy, middle, high), torch.where(heavy, low, middle)
    return (low + high) / 2


def _first_places(
    rows: Float[Tensor, "point d"], chance: torch.Generator
) -> Float[Tensor, "point 2"]:
    """The two principal directions, 10 wide, with a little noise so that equal rows part."""
    centred = rows - rows.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    flat = centred @ vectors[:, -2:].flip(1)
    # The sign of an eigenvector is no one's choice; the heaviest entry decides.
    flat = flat * flat.gather(0, flat.abs().argmax(0, keepdim=True)).sign()
    wide = 10 * flat / flat.abs().max().clamp(min=1e-12)
    return wide + 1e-4 * torch.randn(wide.shape, generator=chance)


def _moves(
    places: Float[Tensor, "point 2"],
    head: Int[Tensor, " edge"],
    tail: Int[Tensor, " edge"],
    chance: torch.Generator,
) -> Float[Tensor, "point 2"]:
    """Edges pull both of their ends; as many random points as asked push each head away."""
    gap = places[head] - places[tail]
    square = gap.square().sum(1, keepdim=True).clamp(min=1e-12)
    pull = -2 * _A * _B * square ** (_B - 1) / (1 + _A * square**_B) * gap
    pull = pull.clamp(-_FARTHEST_STEP, _FARTHEST_STEP)
    moves = torch.zeros_like(places).index_add_(0, head, pull).index_add_(0, tail, -pull)
    pushed = head.repeat(_NEGATIVES)
    others = torch.randint(len(places), (len(pushed),), generator=chance)
    gap = places[pushed] - places[others]
    square = gap.square().sum(1, keepdim=True)
    push = 2 * _B / ((0.001 + square) * (1 + _A * square**_B)) * gap
    moves.index_add_(0, pushed, push.clamp(-_FARTHEST_STEP, _FARTHEST_STEP))
    return moves.clamp(-_FARTHEST_STEP, _FARTHEST_STEP)


def clusters(
    places: Float[Tensor, "point 2"], count: int, *, seed: int = 0, rounds: int = 50
) -> Int[Tensor, " point"]:
    """k-means on the plane, begun from points that lie far apart; some clusters may be empty."""
    chance = torch.Generator().manual_seed(seed)
    centres = places[torch.randint(len(places), (1,), generator=chance)]
    for _ in range(min(count, len(places)) - 1):
        farthest = torch.cdist(places, centres).amin(1).argmax()
        centres = torch.cat([centres, places[farthest][None]])
    own = torch.cdist(places, centres).argmin(1)
    for _ in range(rounds):
        sums = torch.zeros_like(centres).index_add_(0, own, places)
        sizes = torch.bincount(own, minlength=len(centres))[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        before, own = own, torch.cdist(places, centres).argmin(1)
        if torch.equal(before, own):
            break
    return own
