"""Where an SAE's training starts: latents for kinds of talk, for what parts them, for tokens.

Knows vectors, token ids and which document each came from; reads no label. An SAE that starts at
random needs more of every rare token than a training text holds: names stay mixed, one feature of
2,000 tells a concept with an F1 of 0.5. Tokenized SAEs (Dooms & Wilhelm 2024) give each token a row
of its own; here such rows are only where training starts from.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LEAST_TOKEN = 5  # occurrences of a token that gets a latent
_LEAST_TALK = 25  # tokens of a document that counts as a talk
_TOKEN_SHARE = 0.5  # of the latents, at most
_TALK_SHARE = 0.125
_SPLIT_SHARE = 0.0625  # both ways counted
_LEAST_SPLIT = 8  # talks in a group that is parted
_ROUNDS = 15  # of k-means
_RIDGE = 0.01  # of the mean variance, so that the covariance can be inverted
_GATE = 1.5  # a prototype's slope
_OPEN = 0.6  # share of a prototype's length from which its latent fires, but never below
_NOISE = 3.0  # standard deviations of what it reads
_LOOSE = 0.03  # how strongly the rest reads at first


@dataclass(frozen=True)
class Activations:
    """Residual vectors of ordinary tokens, with the token and the document of each."""

    vectors: Float[Tensor, "tokens width"]
    ids: Int[Tensor, " tokens"]
    documents: Int[Tensor, " tokens"]


@dataclass(frozen=True)
class Start:
    """Weights of an SAE before training, with decoder rows of length 1."""

    w_dec: Float[Tensor, "d_sae width"]
    w_enc: Float[Tensor, "width d_sae"]
    b_enc: Float[Tensor, " d_sae"]
    b_dec: Float[Tensor, " width"]
    talks: int
    """How many of the first decoder rows stand for talks and what parts them."""


def start(read: Activations, latents: int, draw: torch.Generator) -> Start:
    """Kinds of talk first, what parts them, then tokens, then samples of what tokens leave over.

    A latent of a prototype p reads along C⁻¹p, C being the stream's covariance: of all directions
    that answer p with its length, the one that answers the rest of the stream least. Its bias opens
    it at most of that length, so that near prototypes do not all fire at once, or where that is in
    the noise, above the noise: what a talk is about is a small part of each of its tokens.

    Args:
        read: What the SAE will be trained on.
        latents: How many it has.
        draw: Of the talks that clusters grow from, and of the samples.
    """
    mean = read.vectors.mean(0)
    around = read.vectors - mean
    by_token, often = _means(around, read.ids)
    frequent = often.argsort(descending=True)
    frequent = frequent[often[frequent] >= _LEAST_TOKEN][: int(latents * _TOKEN_SHARE)]
    covariance = around.T @ around / len(around)
    covariance += _RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    talks = _talks(around, read.documents)
    whitening = torch.linalg.cholesky(torch.linalg.inv(covariance))
    kinds = _kinds_of_talk(talks, whitening, int(latents * _TALK_SHARE), draw)
    ways = _splits(talks, whitening, int(latents * _SPLIT_SHARE) // 2)
    # Which half is the smaller is chance, and a latent that fires pushes one way only.
    splits = torch.cat([ways, -ways])
    prototypes = torch.cat([kinds, splits, by_token[frequent]])
    known = (often[read.ids] > 2 * _LEAST_TOKEN).nonzero()[:, 0]
    some = known[torch.randint(len(known), (latents - len(prototypes),), generator=draw)]
    samples = F.normalize(around[some] - by_token[read.ids[some]], dim=-1)
    rows = F.normalize(prototypes, dim=-1)
    matched = torch.linalg.solve(covariance, rows.T)
    precision = (rows.T * matched).sum(0)
    matched /= precision
    opens = torch.maximum(_OPEN * prototypes.norm(dim=-1), _NOISE * precision.rsqrt())
    return Start(
        w_dec=torch.cat([rows, samples]),
        w_enc=torch.cat([_GATE * matched, _LOOSE * samples.T], 1),
        b_enc=torch.cat([-_GATE * opens, torch.zeros(len(samples))]),
        b_dec=mean,
        talks=len(kinds) + len(splits),
    )


def _means(
    vectors: Float[Tensor, "tokens width"], group: Int[Tensor, " tokens"]
) -> tuple[Float[Tensor, "groups width"], Float[Tensor, " groups"]]:
    size = int(group.max()) + 1
    count = torch.bincount(group, minlength=size).float()
    total = torch.zeros(size, vectors.shape[1]).index_add_(0, group, vectors)
    return total / count.clamp(min=1)[:, None], count


def _talks(
    around: Float[Tensor, "tokens width"], documents: Int[Tensor, " tokens"]
) -> Float[Tensor, "talks width"]:
    by_document, lengths = _means(around, documents)
    return by_document[lengths >= min(_LEAST_TALK, int(lengths.max()))]


def _kinds_of_talk(
    talks: Float[Tensor, "talks width"],
    whitening: Float[Tensor, "width width"],
    most: int,
    draw: torch.Generator,
) -> Float[Tensor, "kinds width"]:
    """Mean vectors of clusters of documents, by spherical k-means on whitened document means."""
    points = F.normalize(talks @ whitening, dim=-1)
    centres = points[torch.randperm(len(points), generator=draw)[:most]]
    means, sizes = _means(talks, _clustered(points, centres))
    return means[sizes >= 2]


def _splits(
    talks: Float[Tensor, "talks width"], whitening: Float[Tensor, "width width"], most: int
) -> Float[Tensor, "splits width"]:
    """What parts the largest groups of documents in two, again and again: bisecting k-means.

    A kind's mean holds all its talks share: a request for a letter, and that it was obeyed. The
    way from the larger half of such requests to the smaller holds what differed, and nothing else.
    """
    points = talks @ whitening
    waiting = [torch.arange(len(talks))]
    found: list[Tensor] = []
    while waiting and len(found) < most:
        group = waiting.pop(max(range(len(waiting)), key=lambda at: len(waiting[at])))
        halves = _halves(points[group])
        smaller, larger = sorted((group[halves], group[~halves]), key=len)
        if len(smaller) > 1:  # one odd talk is no kind
            found.append(talks[smaller].mean(0) - talks[larger].mean(0))
        if len(smaller):
            waiting += [half for half in (smaller, larger) if len(half) >= _LEAST_SPLIT]
    return torch.stack(found) if found else talks[:0]


def _halves(points: Float[Tensor, "talks width"]) -> Bool[Tensor, " talks"]:
    """Two clusters around the group's mean, grown from both ends of its longest axis."""
    around = F.normalize(points - points.mean(0), dim=-1)
    axis = torch.linalg.eigh(around.T @ around).eigenvectors[:, -1]
    axis = axis * axis[axis.abs().argmax()].sign()
    return _clustered(around, torch.stack([axis, -axis])) == 0


def _clustered(
    points: Float[Tensor, "points width"], centres: Float[Tensor, "clusters width"]
) -> Int[Tensor, " points"]:
    """The cluster of each point of length 1 after some rounds of spherical k-means."""
    for _ in range(_ROUNDS):
        sums = torch.zeros_like(centres).index_add_(0, (points @ centres.T).argmax(1), points)
        centres = F.normalize(sums, dim=-1)
    return (points @ centres.T).argmax(1)
