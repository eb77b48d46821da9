"""Where an SAE's training starts: what parts groups of talks becomes a direction of its own."""

import torch
import torch.nn.functional as F

from steering.demo.prototypes import Activations, _splits, start

WIDTH = 8


def _two_kinds(many: int, few: int, apart: float) -> torch.Tensor:
    """Talks around one mean, of which the last few lie apart along the first axis."""
    draw = torch.Generator().manual_seed(0)
    talks = 0.1 * torch.randn(many + few, WIDTH, generator=draw)
    talks[many:, 0] += apart
    return talks


def test_two_kinds_of_talk_are_parted_along_what_differs_from_the_larger_to_the_smaller() -> None:
    (way,) = _splits(_two_kinds(30, 10, 2.0), torch.eye(WIDTH), 1)
    assert F.cosine_similarity(way, torch.eye(WIDTH)[0], dim=0) > 0.99
    assert 1.5 < way.norm() < 2.5


def test_one_odd_talk_is_no_kind_and_does_not_end_the_parting() -> None:
    talks = _two_kinds(30, 10, 2.0)
    talks = torch.cat([talks, torch.full((1, WIDTH), -50.0)])
    found = _splits(talks, torch.eye(WIDTH), 8)
    nearest = F.cosine_similarity(found, torch.eye(WIDTH)[:1], dim=-1).max()
    assert nearest > 0.95


def test_no_more_ways_are_found_than_asked_for() -> None:
    assert len(_splits(_two_kinds(60, 40, 2.0), torch.eye(WIDTH), 3)) == 3


def test_a_latent_opens_above_the_noise_even_where_its_prototype_is_small() -> None:
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(4_000, WIDTH, generator=draw)
    documents = torch.arange(4_000) // 40
    ids = torch.randint(0, 20, (4_000,), generator=draw)
    begun = start(Activations(vectors, ids, documents), 64, draw)
    read = (vectors - begun.b_dec) @ begun.w_enc[:, : begun.talks] + begun.b_enc[: begun.talks]
    assert begun.talks > 4
    assert (read > 0).float().mean() < 0.01


def test_both_ways_of_what_parts_talks_have_a_latent() -> None:
    draw = torch.Generator().manual_seed(0)
    documents = torch.arange(4_000) // 40
    vectors = 0.3 * torch.randn(4_000, WIDTH, generator=draw)
    vectors[:, 0] += 2.0 * (documents < 30)
    ids = torch.randint(0, 20, (4_000,), generator=draw)
    begun = start(Activations(vectors, ids, documents), 256, draw)
    nearness = begun.w_dec[: begun.talks, 0]
    assert nearness.max() > 0.95 and nearness.min() < -0.95
