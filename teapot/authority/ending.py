"""Ends tasks for good. A cancellation that meets a timeout in the same moment can be lost on its way, so it is said again."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 0.5


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
