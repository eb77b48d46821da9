"""The causal claim's counting against the product's own edits, on the shipped bundle."""

import torch

from steering import Intervention, Session
from steering.demo.claims import causal
from steering.demo.claims.geometry import labelled
from steering.demo.claims.report import claim_presets, measure_claims
from steering.interventions import Positions
from steering.measure.divergence import forced_logits
from steering.planner import build_plan

SEED = 3


def test_what_an_ablation_changes_is_what_the_sessions_own_edit_does() -> None:
    session = Session.demo()
    (sae,) = session.saes.values()
    chosen = causal.best_by_concept(labelled(sae), 3)
    features = [each.feature for each in chosen]
    texts = causal._texts(session, [each.concept.name for each in chosen], SEED, 3)
    change, _ = causal._changes(session, features, texts, SEED)

    everywhere = Positions(special=True)
    edits = [Intervention(feature=f, edit="ablate", positions=everywhere) for f in features]
    rows = [[], *([session.resolve(edit)] for edit in edits)]
    plan = build_plan(rows, session.saes, lambda point: session.model.site(point).device)
    expected, counted = torch.zeros(2, 3, 3), torch.zeros(2, 3)
    for text in texts:
        (start, *written), marked = text.ids.tolist(), torch.stack([text.words, text.names])[:, 1:]
        with torch.inference_mode():
            logits = forced_logits(session.model, plan, [start], written).log_softmax(-1)
        said = logits.gather(-1, text.ids[1:].expand(len(rows), -1)[..., None])[..., 0]
        told = (said * marked[:, None]).sum(2)
        expected[:, :, text.concept] += told[:, 1:] - told[:, :1]
        counted[:, text.concept] += marked.sum(1)
    assert expected.diagonal(dim1=1, dim2=2).max() < 0
    torch.testing.assert_close(change, expected / counted[:, None], atol=1e-4, rtol=0)


def test_a_concepts_words_are_its_name_and_what_the_world_knows_of_it() -> None:
    text = causal._text(
        Session.demo(), "Paris is in France. They speak French in Rome.", "Paris", 0
    )
    assert text is not None
    assert (int(text.words.sum()), int(text.names.sum())) == (3, 1)
    for said in ("They speak French in France.", "Paris is big."):
        assert causal._text(Session.demo(), said, "Paris", 0) is None


def test_features_of_the_shipped_bundle_are_causal() -> None:
    (result,) = measure_claims(Session.demo(), claim_presets(), only=("causal",), samples=17)
    below, *others = result.outcomes
    assert all(each.met for each in others), others
    # With four documents a concept, seeds tell fewer of the 50 than with the claim's 48.
    assert int(below.value.split()[0]) >= 35
