"""Looks at the space of each [[share]], now. Runs as the account that runs the command: it sees what that account may see.

Never invents: a source that fails is a failure with its reason, and a value has the time at which it was true.
"""

import os
from typing import NamedTuple

from teapot import accounts
from teapot.configuration import Share
from teapot.space import command, local, placeholders
from teapot.space.amounts import NotKnown, Space, limited
from teapot.space.formats import COMMANDS, GOOD, read, told

_CLOCKS_DIFFER_S = 60


class Seen(NamedTuple):
    """Bytes; `at` in seconds since 1970."""

    used: int
    total: int
    files: int | None
    at: int


def look(share: Share, now: int) -> Seen:
    """NotKnown."""
    try:
        descriptor = os.open(share.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotKnown(f"{share.root}: {error.strerror}") from error
    try:
        return _look(share, descriptor, now)
    except OSError as error:
        raise NotKnown(f"{share.root}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _look(share: Share, descriptor: int, now: int) -> Seen:
    source = share.space.source
    if source not in COMMANDS:
        of_kernel = {"quota": lambda: local.with_quotas(descriptor, -1), "cephfs": lambda: local.of_cephfs(descriptor)}
        return _seen(of_kernel.get(source, lambda: local.of_file_system(descriptor))(), now)
    output = _output(share, descriptor)
    answer = read(source, output)
    if not isinstance(answer, Space):
        return _seen(limited(answer, local.of_file_system(descriptor)), now)
    more = told(output)
    at = now if more.timestamp is None else more.timestamp
    if at > now + _CLOCKS_DIFFER_S:
        raise NotKnown(f"its timestamp, {at}, is yet to come")
    return _seen(answer, at, more.files)


def _output(share: Share, descriptor: int) -> bytes:
    settings = share.space
    try:
        account = accounts.own()
    except KeyError:
        raise NotKnown(f"uid {os.getuid()} has no name, so nothing can be asked about it") from None
    words = command.filled(settings.command or COMMANDS[settings.source], placeholders.values(account, share.root, descriptor))
    return command.printed(words, settings.timeout_s, GOOD[settings.source])


def _seen(space: Space, at: int, files: int | None = None) -> Seen:
    return Seen(space.used, space.used + space.available, files, at)
