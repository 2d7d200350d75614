"""Whether the service is ready, and what is missing if it is not. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

RECENT_S = 6.0  # an answer that is older says nothing about now


class Answered(NamedTuple):
    """How a process answered last."""

    role: str
    ready: bool
    at: float | None


def missing(processes: Iterable[Answered], gateways: int, now: float) -> list[str]:
    """In words for an admin; empty when the service is ready: so many gateways, the authority and the spawner."""
    known = list(processes)
    ready = Counter(one.role for one in known if one.ready and _is_recent(one, now))
    wanted = {"gateway": gateways, "authority": 1, "spawner": 1}
    return [_what(role, ready[role], number, known, now) for role, number in wanted.items() if ready[role] < number]


def answering(processes: Iterable[Answered], now: float) -> dict[str, int]:
    """How many processes of each role have answered of late, ready or not."""
    number = Counter(one.role for one in processes if _is_recent(one, now))
    return {role: number[role] for role in ("gateway", "authority", "spawner")}


def _is_recent(one: Answered, now: float) -> bool:
    return one.at is not None and now - one.at <= RECENT_S


def _what(role: str, ready: int, wanted: int, known: list[Answered], now: float) -> str:
    if role == "gateway":
        return f"{ready} of {wanted} gateways are ready"
    of_role = [one for one in known if one.role == role]
    if not of_role:
        return f"the {role} is not running"
    return f"the {role} is not ready" if any(_is_recent(one, now) for one in of_role) else f"the {role} does not answer"
