"""Workers are started by a spawner here too."""

from tests.spawner.conftest import start_spawner

__all__ = ["start_spawner"]
