"""Where Teapot answers WebDAV otherwise than Apache's mod_dav 2.4, and why: the one table of test_apache.py.

A row whose `parts` is True leaves the two servers with different files or locks: the sequence ends there.
"""

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple
from urllib.parse import unquote

from tests.end_to_end.random_webdav import Step


class Said(NamedTuple):
    status: int
    told: object  # what the body says, in a form that can be compared
    fields: Mapping[str, str]

    def differs(self, other: "Said") -> bool:
        return (self.status, self.told) != (other.status, other.told)


class Case(NamedTuple):
    """One step, what both said, and the files before it."""

    step: Step
    apache: Said
    teapot: Said
    before: dict[str, bytes | None]
    gone: Set[str] = frozenset()  # what has been removed, moved or replaced with the collection that held it, since the sequence began

    @property
    def statuses(self) -> tuple[int, int]:
        return self.apache.status, self.teapot.status


class Row(NamedTuple):
    what: str
    why: str
    explains: Callable[[Case], bool]
    parts: bool = False


def _decoded(name: str) -> str:
    return unquote(name.rstrip("/"))


def _kind(case: Case, name: str) -> str:
    """What stood there: file, collection, or "" for nothing."""
    path = _decoded(name)
    return "" if path not in case.before else "collection" if case.before[path] is None else "file"


def _below_file(case: Case, name: str) -> bool:
    """There is a file on the way to it, or it is a file with a slash after it."""
    pieces = _decoded(name).split("/")
    above = any(case.before.get("/".join(pieces[:count])) is not None for count in range(1, len(pieces)))
    return above or name.endswith("/") and _kind(case, name) == "file"


def _both_ends(case: Case, judge: Callable[[Case, str], bool]) -> bool:
    return judge(case, case.step.name) or bool(case.step.destination) and judge(case, case.step.destination)


def _one_end(case: Case, judge: Callable[[str], bool]) -> bool:
    return any(judge(_decoded(name)) for name in (case.step.name, case.step.destination) if name)


def _parent_is_there(case: Case, name: str) -> bool:
    parent = _decoded(name).rpartition("/")[0]
    return not parent or case.before.get(parent, b"") is None


def _is_in(inner: str, outer: str) -> bool:
    return (_decoded(inner) + "/").startswith(_decoded(outer) + "/")


TABLE: tuple[Row, ...] = (
    Row(
        "PUT that replaces a file answers 200",
        "RFC 9110, section 9.3.4 allows 200 and 204; Rucio takes 204 for a failure",
        lambda case: case.step.method == "PUT" and case.statuses == (204, 200),
    ),
    Row(
        "MOVE onto a file answers 201",
        "RFC 4918, section 9.9.4 gives 204 for that, but Rucio takes nothing but 201",
        lambda case: case.step.method == "MOVE" and case.statuses == (204, 201) and _kind(case, case.step.destination) == "file",
    ),
    Row(
        "PUT to the URL of a collection is 405",
        "RFC 4918, section 9.7.2; Apache drops the slash and makes a file",
        lambda case: case.step.method == "PUT" and case.step.has_slash and case.teapot.status == 405 and case.apache.status == 201,
        parts=True,
    ),
    Row(
        "PUT to the URL of a collection is 405, whatever else is wrong",
        "RFC 4918, section 9.7.2; RFC 9110, section 13.2.1: no condition is asked then",
        lambda case: case.step.method == "PUT" and case.teapot.status == 405 and case.apache.status in (400, 409, 412, 423),
    ),
    Row(
        "below a file there is nothing",
        "Apache calls what follows a file's name malformed (400); RFC 9110, section 15.5.5: 404, and 409 of RFC 4918 for a missing parent",
        lambda case: case.apache.status == 400 and case.teapot.status in (404, 405, 409, 412) and _both_ends(case, _below_file),
    ),
    Row(
        "a collection may take the place of a file, however its URL is written",
        "RFC 4918, section 5.2: the slash says that it is to be a collection; Apache looks for something below the file (400)",
        lambda case: case.apache.status == 400 and case.teapot.status in (201, 204) and _below_file(case, case.step.destination),
        parts=True,
    ),
    Row(
        "a file is not given the URL of a collection",
        "RFC 4918, section 5.2: a URL that ends in a slash names a collection; Apache drops the slash",
        lambda case: case.step.destination.endswith("/") and case.apache.status in (201, 204, 423, 424) and case.teapot.status == 409,
        parts=True,
    ),
    Row(
        "UNLOCK with a token that fits no lock is 409, of nothing 404",
        "RFC 4918, section 9.11.1; Apache answers 400",
        lambda case: case.step.method == "UNLOCK" and case.apache.status == 400 and case.teapot.status in (404, 409, 412),
    ),
    Row(
        "LOCK of what is not there makes an empty file",
        "RFC 4918, section 7.3 (201); Apache makes a lock-null resource of RFC 2518, which no GET sees",
        lambda case: case.step.method == "LOCK"
        and (case.statuses == (200, 201) or "If" in case.step.fields and case.statuses == (207, 201))
        and not _kind(case, case.step.name),
        parts=True,
    ),
    Row(
        "LOCK makes no file at the URL of a collection",
        "RFC 4918, section 7.3: what is made is never a collection",
        lambda case: case.step.method == "LOCK" and case.step.has_slash and case.statuses in ((200, 404), (207, 404)),
        parts=True,
    ),
    Row(
        "whatever the method, If-Unmodified-Since is about the file's date",
        "RFC 9110, section 13.1.4: the file's own date, and none where nothing is; Apache takes the present time",
        lambda case: "If-Unmodified-Since" in case.step.fields and case.apache.status == 412 and case.step.method not in ("GET", "HEAD"),
        parts=True,
    ),
    Row(
        "conditions are asked with PROPFIND too",
        "RFC 9110, section 13.1: of every method that selects a representation; Apache asks only If",
        lambda case: case.step.method == "PROPFIND" and case.step.is_conditional and case.statuses == (207, 412),
    ),
    Row(
        "the last no bytes cannot be had",
        "RFC 9110, section 14.1.2: a suffix of length 0 is not satisfiable (416); Apache ignores it",
        lambda case: case.step.fields.get("Range") == "bytes=-0" and case.statuses == (200, 416),
    ),
    Row(
        "a listing is sent whole",
        "RFC 9110, section 14.2: a server may ignore Range",
        lambda case: "Range" in case.step.fields
        and _kind(case, case.step.name) == "collection"
        and case.apache.status in (206, 416)
        and case.teapot.status == 200,
    ),
    Row(
        "nothing can be had of an empty file's first bytes",
        "RFC 9110, section 14.1.2: not satisfiable (416); Apache sends the empty file",
        lambda case: "Range" in case.step.fields and case.statuses == (200, 416) and case.before.get(_decoded(case.step.name)) == b"",
    ),
    Row(
        "a listing has no entity tag, and conditions are asked of it",
        "RFC 9110, section 13.1.1 and 13.1.2: * fits what is there, no tag fits; Apache asks nothing",
        lambda case: case.step.method in ("GET", "HEAD")
        and bool({"If-Match", "If-None-Match"} & case.step.fields.keys())
        and _kind(case, case.step.name) == "collection"
        and case.apache.status in (200, 206, 416)
        and case.teapot.status in (304, 412),
    ),
    Row(
        "If-None-Match compares weakly",
        "RFC 9110, section 13.1.2: W/ makes no difference; Apache compares strongly with Range and with what changes files",
        lambda case: case.step.fields.get("If-None-Match", "").startswith("W/")
        and case.apache.status in (200, 201, 204, 206, 207, 416, 423)
        and case.teapot.status in (304, 412),
        parts=True,
    ),
    Row(
        "If is asked with GET, HEAD and UNLOCK too",
        "RFC 4918, section 10.4.1: it makes any method conditional; Apache asks it of methods that change files",
        lambda case: case.step.method in ("GET", "HEAD", "UNLOCK") and "If" in case.step.fields and case.teapot.status == 412,
        parts=True,
    ),
    Row(
        "an If without a URL is about the request's URL alone",
        "RFC 4918, section 10.4.2; Apache asks it of the destination and of the parent as well",
        lambda case: "If" in case.step.fields and case.apache.status in (412, 424) and case.teapot.status in (200, 201, 204, 207),
        parts=True,
    ),
    Row(
        "a lock that stands in the way is 423",
        "RFC 4918, section 11.3; Apache wraps it into a Multi-Status, or names the dependency (424)",
        lambda case: case.apache.status in (207, 424) and case.teapot.status == 423,
    ),
    Row(
        "PUT to the URL of a collection below a lock is 405",
        "RFC 4918, section 9.7.2; Apache tells of the lock, in a Multi-Status",
        lambda case: case.step.method == "PUT" and case.step.has_slash and case.statuses == (207, 405),
    ),
    Row(
        "LOCK makes no file in a locked collection without its token",
        "RFC 4918, section 7.4: a new member takes the token; Apache's lock-null resource is no member",
        lambda case: case.step.method == "LOCK" and case.statuses == (200, 423) and not _kind(case, case.step.name),
        parts=True,
    ),
    Row(
        "a missing parent of the destination is 409",
        "RFC 4918, section 9.8.5 and 9.9.4; Apache fails (500), or answers 403 for a collection",
        lambda case: case.apache.status in (403, 500) and case.teapot.status == 409 and not _parent_is_there(case, case.step.destination),
    ),
    Row(
        "conditions are not asked where the request fails anyway",
        "RFC 9110, section 13.2.1",
        lambda case: case.step.is_conditional and case.apache.status == 412 and case.teapot.status in (403, 404, 405, 409, 423),
    ),
    Row(
        "of an Overwrite that forbids and a lock that does, either may be told",
        "RFC 4918, section 9.8.4 and 7: no order is given, nothing is done",
        lambda case: case.step.fields.get("Overwrite") == "F" and {*case.statuses} <= {403, 412, 423},
    ),
    Row(
        "of a condition that fails and a destination that is no good, either may be told",
        "conditions are asked of the source before the destination is looked at: RFC 9110, section 13.2.1 would have the other order",
        lambda case: case.step.method in ("MOVE", "COPY")
        and case.step.is_conditional
        and case.statuses in ((403, 412), (409, 412), (500, 412)),
    ),
    Row(
        "a destination that is locked is told before one that is no good",
        "RFC 4918, section 9.8.5: no order is given, nothing is done",
        lambda case: case.step.method in ("MOVE", "COPY") and case.apache.status in (400, 403, 500) and case.teapot.status == 423,
    ),
    Row(
        "into itself, with a slash behind a file",
        "RFC 4918, section 9.8.5: 403; Apache looks for something below the file (400)",
        lambda case: case.statuses == (400, 403) and _is_in(case.step.destination, case.step.name),
    ),
    Row(
        "nothing takes the place of a collection that holds it",
        "RFC 4918, section 9.8.5: 403; Apache removes the collection, with the source in it, and fails (500)",
        lambda case: case.apache.status == 500
        and case.teapot.status in ((403, 412) if case.step.is_conditional else (403,))
        and _is_in(case.step.name, case.step.destination),
        parts=True,
    ),
    Row(
        "If-Match is about what the request names, not about where it goes",
        "RFC 9110, section 13.1.1; Apache asks it of the destination as well",
        lambda case: "If-Match" in case.step.fields and bool(case.step.destination) and case.statuses in ((412, 201), (412, 204)),
        parts=True,
    ),
    Row(
        "a Range does not switch conditions off",
        "RFC 9110, section 13.2.2: conditions first, then ranges",
        lambda case: "Range" in case.step.fields
        and bool({"If-Modified-Since", "If-None-Match"} & case.step.fields.keys())
        and case.apache.status in (200, 206, 416)
        and case.teapot.status == 304,
    ),
    Row(
        "HEAD of an empty file says that it has 0 bytes",
        "RFC 9110, section 8.6; Apache leaves Content-Length out, and data-lake clients then do not know the size",
        lambda case: case.step.method == "HEAD" and case.statuses == (200, 200) and case.before.get(_decoded(case.step.name)) == b"",
    ),
    Row(
        "into itself, or onto what holds it, is refused before Overwrite and locks are asked",
        "RFC 4918, section 9.8.5 has a status for each and no order: 403 says what is wrong for good",
        lambda case: case.apache.status in (412, 423, 424)
        and case.teapot.status == 403
        and (_is_in(case.step.destination, case.step.name) or _is_in(case.step.name, case.step.destination)),
    ),
    Row(
        "If of what fails anyway",
        "RFC 4918, section 10.4 has no order for it: both say that nothing was done",
        lambda case: "If" in case.step.fields and {*case.statuses} < {404, 405, 409, 412, 423, 424},
    ),
    Row(
        "a lock goes with what it was taken on",
        "RFC 4918, section 6.1: what comes to that URL later is not locked; Apache keeps the lock of a member that was replaced from above",
        lambda case: case.apache.status in (207, 423, 424)
        and case.teapot.status in (200, 201, 204, 207)
        and _one_end(case, lambda path: path in case.gone),
        parts=True,
    ),
)
