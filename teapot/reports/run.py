"""teapot srr | star: looks at every share, prints or writes the report, and says on standard error what could not be seen.

Exit statuses: 0, or 1 when a source failed or nothing could be written; the report is made all the same.
"""

import os
import sys
import time
from collections.abc import Iterator

import msgspec

from teapot.configuration import Configuration
from teapot.reports import shares, srr, star
from teapot.reports.srr import Looked
from teapot.space.amounts import NotKnown


def main(command: str, configuration: Configuration, file: str, *, write: bool = False, period_s: int = 86400) -> int:
    """`file`: where the report is served from, and where its last values are; "": nowhere."""
    if os.geteuid() == 0:
        return _refused("this runs the site's commands: run it as an account that may see the shares, not as root")
    if not configuration.share:
        return _refused("there is no [[share]] to report of")
    if write and not file:
        return _refused("there is no reports.address, so nobody says where to write to")
    now = int(time.time())
    looked = list(_looked(configuration, now))
    failed = any(one.seen is None for one in looked)
    if command == "star":
        seen = [(one.share, one.seen) for one in looked if one.seen]
        return _print(star.records(configuration, seen, now, period_s)) or int(failed)
    return _report(configuration, looked, now, file, write) or int(failed)


def _report(configuration: Configuration, looked: list[Looked], now: int, file: str, write: bool) -> int:
    document = srr.document(configuration, looked, srr.last_values(file, now) if file else {}, now)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    if not write:
        return _print(text)
    try:
        srr.write(file, text)
    except OSError as error:
        return _refused(f"{file}: {error.strerror}")
    return 0


def _looked(configuration: Configuration, now: int) -> Iterator[Looked]:
    for share in configuration.share:
        try:
            yield Looked(share, shares.look(share, now))
        except NotKnown as failed:
            print(f"teapot: share {share.name}: {failed}", file=sys.stderr)
            yield Looked(share, None)


def _print(text: bytes) -> int:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    return 0


def _refused(why: str) -> int:
    print(f"teapot: {why}", file=sys.stderr)
    return 1
