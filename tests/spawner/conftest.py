"""A spawner that runs as its own account, and people whose workers it starts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teapot.configuration import StorageArea
from tests.service.accounts import Account
from tests.spawner.process import Authority, Gateway, Spawner

StartSpawner = Callable[..., Spawner]

HOME = StorageArea(name="home", path="/home", root="{home}")


@pytest.fixture
def start_spawner(service_accounts: dict[str, Account], tmp_path: Path) -> Iterator[StartSpawner]:
    running: list[Spawner] = []

    def begin(areas: tuple[StorageArea, ...] = (HOME,), **more: Any) -> Spawner:
        running.append(Spawner(service_accounts["spawner_account"], areas, tmp_path / f"spawner-{len(running)}.log", **more))
        return running[-1]

    yield begin
    for spawner in running:
        spawner.__exit__(None, None, None)


@pytest.fixture
def spawner(start_spawner: StartSpawner) -> Spawner:
    return start_spawner()


@pytest.fixture
def authority(spawner: Spawner) -> Authority:
    return spawner.authority()


@pytest.fixture
def gateway(spawner: Spawner) -> Gateway:
    return spawner.gateway()
