"""A thread for one piece of work that may hang (a directory, a file system): the process can end while it does."""

import asyncio
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")


async def in_own_thread(name: str, work: Callable[[], T]) -> T:
    """Returns or raises what the work does. Whoever stops waiting leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Callable[[], T]] = loop.create_future()

    def tell(given: Callable[[], T]) -> None:
        if not outcome.done():
            outcome.set_result(given)

    def run() -> None:
        try:
            loop.call_soon_threadsafe(tell, _done(work))
        except RuntimeError:
            return  # the loop has ended meanwhile

    threading.Thread(target=run, name=name, daemon=True).start()
    return (await outcome)()


def _done(work: Callable[[], T]) -> Callable[[], T]:
    """Does the work now; the result, or the failure, is for who waits for it."""
    try:
        result = work()
    except Exception as failure:
        return _raising(failure)
    return lambda: result


def _raising(failure: Exception) -> Callable[[], NoReturn]:
    def again() -> NoReturn:
        raise failure

    return again
