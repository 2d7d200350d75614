"""The authority ends although a task has not heard the first time that it is to."""

import asyncio

from teapot.authority.ending import end


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    heard = 0

    async def deaf_once() -> None:
        nonlocal heard
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1
                if heard > 1:
                    raise

    task = asyncio.create_task(deaf_once())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
    assert task.cancelled() and heard == 2


async def test_tasks_that_are_over_are_not_waited_for() -> None:
    over = asyncio.create_task(asyncio.sleep(0))
    await over
    await end([over])
