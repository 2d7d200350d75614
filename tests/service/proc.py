"""What the kernel says of a process: /proc/PID/status and the bytes of its memory."""

import re
from pathlib import Path
from typing import NamedTuple

ROLES = ("master", "gateway", "authority", "spawner", "observer", "worker")


class Status(NamedTuple):
    uids: tuple[int, ...]  # real, effective, saved, file system
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    permitted: int
    effective: int
    inheritable: int
    bounding: int
    ambient: int
    no_new_privileges: bool
    seccomp: int


def status(pid: int) -> Status:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    numbers = {name: tuple(map(int, fields[name].split())) for name in ("Uid", "Gid", "Groups")}
    masks = {name: int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")}
    return Status(
        numbers["Uid"],
        numbers["Gid"],
        numbers["Groups"],
        masks["CapPrm"],
        masks["CapEff"],
        masks["CapInh"],
        masks["CapBnd"],
        masks["CapAmb"],
        fields["NoNewPrivs"] == "1",
        int(fields["Seccomp"]),
    )


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def memory_holds(pid: int, needles: list[bytes]) -> bool:
    """Any of them, anywhere in the process's readable memory. As root."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (r)", line)
            if match and not line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                start, end = int(match[1], 16), int(match[2], 16)
                if _piece_holds(memory, start, end, needles):
                    return True
    return False


def _piece_holds(memory: object, start: int, end: int, needles: list[bytes]) -> bool:
    try:
        memory.seek(start)  # type: ignore[attr-defined]
        content = memory.read(end - start)  # type: ignore[attr-defined]
    except (OSError, ValueError, OverflowError):
        return False  # a mapping that cannot be read, not even by its process
    return any(needle in content for needle in needles)
