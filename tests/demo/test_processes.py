"""Parts that run at once come back in their order, and can be handed to another process."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from steering.demo.choose import _tried
from steering.demo.claims.asked import SampledClaim, sampled_claims
from steering.demo.processes import at_once


@pytest.mark.parametrize("processes", [1, 2])
def test_what_each_call_returns_comes_in_their_order(processes: int) -> None:
    assert list(at_once(processes, pow, [(2, 5), (3, 2), (10, 3)])) == [32, 9, 1000]


@pytest.mark.parametrize("claim", sampled_claims(), ids=lambda claim: claim.name)
def test_a_claim_can_be_tried_for_in_another_process(claim: SampledClaim) -> None:
    call = (_tried, (Path("bundle"), claim, [1, 2]))
    assert pickle.loads(pickle.dumps(call)) == call


def test_workers_end_when_the_process_that_began_them_is_killed() -> None:
    endless = "print('begun', flush=True); import time; time.sleep(600)"
    begun = (
        f"from steering.demo.processes import at_once\nlist(at_once(2, exec, [({endless!r},)] * 2))"
    )
    with subprocess.Popen([sys.executable, "-c", begun], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert [parent.stdout.readline() for _ in range(2)] == [b"begun\n"] * 2
        parent.kill()
        # Its workers write to the same pipe, which ends with the last of them.
        assert parent.communicate(timeout=60)[0] == b""
