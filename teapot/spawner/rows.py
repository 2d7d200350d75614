"""Which gateway may reach which account, until when: the authority's word, and nothing else, makes a row.

A row dies at its time, with its gateway, and with the authority that made it. Pure: no socket, no clock of its own.
"""

from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    until: float  # CLOCK_MONOTONIC, seconds
    authority: int  # which authority process said so


class Rows:
    def __init__(self) -> None:
        self._rows: dict[tuple[int, str], Row] = {}

    def allow(self, gateway: int, account: str, until: float, authority: int) -> float:
        """Add or prolong a row; returns until when it now stands."""
        old = self._rows.get((gateway, account))
        row = Row(max(until, old.until) if old else until, authority)
        self._rows[gateway, account] = row
        return row.until

    def until(self, gateway: int, account: str, now: float) -> float | None:
        """Until when this gateway may reach the account; None: it may not."""
        row = self._rows.get((gateway, account))
        return row.until if row and row.until > now else None

    def drop_gateway(self, gateway: int) -> None:
        self._keep(lambda key, row: key[0] != gateway)

    def drop_account(self, account: str) -> None:
        self._keep(lambda key, row: key[1] != account)

    def drop_authority(self, authority: int) -> None:
        self._keep(lambda key, row: row.authority != authority)

    def drop_expired(self, now: float) -> None:
        self._keep(lambda key, row: row.until > now)

    def dump(self) -> list[tuple[int, str, float, int]]:
        return [(gateway, account, *row) for (gateway, account), row in self._rows.items()]

    def load(self, rows: list[tuple[int, str, float, int]]) -> None:
        self._rows = {(gateway, account): Row(until, authority) for gateway, account, until, authority in rows}

    def __len__(self) -> int:
        return len(self._rows)

    def _keep(self, stays: Callable[[tuple[int, str], Row], bool]) -> None:
        self._rows = {key: row for key, row in self._rows.items() if stays(key, row)}
