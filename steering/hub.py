"""What the Hugging Face hub says when it fails, in words that say what to do.

Shared by the loaders of models and of SAEs. It knows no model and no SAE.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.utils import get_session

from steering.errors import HubError, LoadError, SteeringError
from steering.memory import is_memory_error

PATIENCE_SECONDS = 5.0
"""How long a hub may take to answer at all; its client would wait 23 s a file, or for ever."""

OFFLINE_HELP = (
    "Check the network. The bundled model needs none: Session.demo(), or `steer compare` without "
    "--model."
)

# Transformers would ask a web service to convert a repository that holds pickled weights only.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


@contextmanager
def explain_hub_failure(what: str, *, local: bool) -> Iterator[None]:
    """Turn any failure to load `what` into a LoadError or HubError that says what to do.

    Args:
        what: As the message names it.
        local: A folder, so that no hub is asked.
    """
    try:
        with _cache_only_where_unreachable(local):
            yield
    except SteeringError:
        raise
    except Exception as error:  # the libraries' transport errors share no narrower base
        if is_memory_error(error):
            raise
        raise _explained(what, error) from error


@contextmanager
def _cache_only_where_unreachable(local: bool) -> Iterator[None]:
    """Ask once whether the hub answers; if not, use what is cached instead of retrying for long."""
    was = constants.HF_HUB_OFFLINE
    if not local and not was:
        try:
            get_session().head(constants.ENDPOINT, timeout=PATIENCE_SECONDS)
        except Exception:  # as above; whatever it is, the hub cannot be used now
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was


def _explained(what: str, error: BaseException) -> LoadError:
    chain = list(_causes(error))
    # By name, since the HTTP client's own module changes with the version of huggingface_hub.
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    status = {getattr(getattr(link, "response", None), "status_code", None) for link in chain}
    if "GatedRepoError" in names:
        return HubError(
            f"The hub keeps {what} behind a licence (gated repository). Accept the licence on its "
            "page, then log in with `hf auth login` or set HF_TOKEN."
        )
    if "RepositoryNotFoundError" in names or 401 in status:
        return HubError(
            f"The hub has no {what}, or keeps it private. Check the spelling; for a private "
            "repository log in with `hf auth login` or set HF_TOKEN."
        )
    if "RemoteEntryNotFoundError" in names:
        return HubError(f"The hub's repository lacks a file of {what}: {_first_line(error)}")
    if names & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError"}:
        return HubError(f"Could not reach the hub for {what}, which is not cached. {OFFLINE_HELP}")
    if names & {"TransportError", "TimeoutException"}:
        return HubError(f"The download of {what} broke off ({_first_line(error)}). Try again.")
    return LoadError(
        f"Could not load {what}: {_first_line(error)} "
        "Check that its files are complete and in safetensors format."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
