"""Does something in a forked child, and tells what came of it: a cage cannot be left again."""

import os
import pickle
from collections.abc import Callable
from typing import NamedTuple

_RESULT = 200  # the child's descriptor for its outcome: above all that it could take for inherited


class Outcome(NamedTuple):
    value: object
    error: str = ""  # the exception's type
    text: str = ""


def in_child(work: Callable[[], object], without_descriptors: bool = False) -> Outcome:
    """`without_descriptors`: of those that the child has inherited, none is open but the standard ones."""
    mine, its = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(its, _RESULT)
        os.close(mine)
        os.close(its)
        if without_descriptors:
            os.closerange(3, _RESULT)
            os.closerange(_RESULT + 1, 65536)
        try:
            outcome = Outcome(work())
        except BaseException as failed:
            outcome = Outcome(None, type(failed).__name__, str(failed).replace(f", {_RESULT}", ""))
        os.write(_RESULT, pickle.dumps(tuple(outcome)))
        os._exit(0)
    os.close(its)
    with os.fdopen(mine, "rb") as result:
        said = result.read()
    os.waitpid(child, 0)
    return Outcome(*pickle.loads(said))
