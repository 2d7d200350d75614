"""WLCG's Storage Resource Reporting, version 4.2: the JSON document, and the file that an anonymous storage area serves.

Of a share whose source fails the last report's value stays, with its own timestamp and a message; without one the share is left out.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

import teapot
from teapot.configuration import Configuration, Share
from teapot.reports.shares import Seen

_MOST_BYTES = 4 << 20


class Looked(NamedTuple):
    share: Share
    seen: Seen | None  # None: its source failed


class _LastShare(msgspec.Struct):
    name: str
    timestamp: int
    totalsize: int
    usedsize: int
    numberoffiles: int | None = None


class _LastService(msgspec.Struct):
    storageshares: list[_LastShare]


class _Last(msgspec.Struct):
    storageservice: _LastService


Values = Mapping[str, Seen]


def document(configuration: Configuration, looked: Iterable[Looked], last: Values, now: int) -> dict[str, Any]:
    server, reports = configuration.server, configuration.reports
    endpoint = {"name": "webdav", "endpointurl": server.public_url, "interfacetype": "webdav", "assignedshares": ["all"]}
    return {
        "storageservice": {
            "name": reports.name or configuration.host,
            "implementation": "teapot",
            "implementationversion": teapot.__version__,
            "qualitylevel": reports.quality,
            "latestupdate": now,
            "storageendpoints": [endpoint],
            "storageshares": [told for one in looked if (told := _share(one, last.get(one.share.name), now))],
        }
    }


def _share(looked: Looked, last: Seen | None, now: int) -> dict[str, Any] | None:
    share, seen = looked.share, looked.seen or last
    if seen is None:
        return None
    told: dict[str, Any] = {
        "name": share.name,
        "timestamp": seen.at,
        "totalsize": seen.total,
        "usedsize": seen.used,
        "vos": list(share.vos),
        "path": list(share.paths),
        "accesslatency": share.latency,
        "servingstate": share.serving,
        "assignedendpoints": ["all"],
    }
    if seen.files is not None:
        told["numberoffiles"] = seen.files
    if looked.seen is None:
        told["message"] = f"could not be measured at {_date(now)}: the last value is told, of {_date(seen.at)}"
    return told


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def last_values(path: str, now: int) -> Values:
    """Of the report that is there. One that is missing or makes no sense has none."""
    try:
        with open(path, "rb") as file:
            shares = msgspec.json.decode(file.read(_MOST_BYTES), type=_Last).storageservice.storageshares
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    values = {one.name: Seen(one.usedsize, one.totalsize, one.numberoffiles, one.timestamp) for one in shares}
    return {name: seen for name, seen in values.items() if 0 <= seen.used <= seen.total and 0 <= seen.at <= now}


def write(path: str, text: bytes) -> None:
    """At one stroke, readable by everybody. OSError."""
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
