"""What a command about a directory has to be told: the mount that holds it, and the device of that."""

import os
import re
from typing import NamedTuple

_MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    mount: str
    device: str


def of(descriptor: int) -> Mount | None:
    """None: it cannot be told. Read before the cage is closed."""
    try:
        status = os.fstat(descriptor)
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as about, open(_MOUNTS, "rb") as mounts:
            number = next((line.split()[1] for line in about if line.startswith(b"mnt_id:")), b"")
            return _found(mounts.read().splitlines(), number, f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}")
    except OSError:
        return None


def _found(lines: list[bytes], number: bytes, device: str) -> Mount | None:
    """By the number of the mount; by its device, where the kernel tells a number that is not in the list."""
    for column, value in ((0, number), (2, device.encode())):
        for line in lines:
            before, _, after = line.partition(b" - ")
            fields = before.split()
            if len(fields) > 4 and fields[column] == value:
                return Mount(_plain(fields[4]), _plain(after.split()[1]))
    return None


def _plain(text: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes((int(match[1], 8),)), text))
