"""The name of a request: in its answer, and in every log line and message that belongs to it. Random: no two gateways give the same."""

import os
from collections.abc import Iterator


def _ids() -> Iterator[str]:
    while True:
        text = os.urandom(1024).hex()
        yield from (text[at : at + 16] for at in range(0, len(text), 16))


_next = _ids()


def new_request_id() -> str:
    return next(_next)
