"""Gateway and worker: what is asked of a worker, and what it may answer.

Each channel begins with a Hello from both ends. Afterwards:

    GET, answer at most 64 KiB   gateway Request                      worker Answer + body
    GET, larger or unknown       gateway Request                      worker Answer(streamed)
                                 gateway SendBody + stream end        worker bytes on the stream, then End
    PUT, at most 64 KiB          gateway Request + body               worker Answer
    PUT, larger or chunked       gateway Request(streamed) + end      worker Continue, or an Answer that refuses
                                 gateway bytes on the stream, then EndOfBody           worker Answer
    the client went away         gateway Cancel                       worker stops, leaves nothing behind; no answer
    the worker is leaving        gateway Request                      worker NotServed: nothing was done, ask another

Stream pairs are made by the gateway, which gives away one end. A worker never sends a descriptor.
"""

from typing import Annotated

from msgspec import Meta, Struct

CHANNEL_VERSION = 1
MAX_FIELDS = 32  # of an answer
MAX_UNANSWERED = 64  # requests on one channel; also bounds the descriptors in flight

ALLOWED = tuple(b"OPTIONS GET HEAD PUT DELETE MKCOL MOVE COPY PROPFIND PROPPATCH LOCK UNLOCK".split())

# How a page that lists a collection may be sorted (?sort= of its URL); "-" turns the order round.
LISTING_ORDERS = ("name", "-name", "size", "-size", "changed", "-changed")

# Where a file's content is (Locality of answers), in SRM's words. From the first two it can be read at once.
LOCALITIES = ("ONLINE", "ONLINE_AND_NEARLINE", "NEARLINE", "UNAVAILABLE", "LOST", "NONE")

# What the token allows beyond the method itself (Request.rights).
MAY_REPLACE = 1  # an existing target may be overwritten
MAY_LIST = 2  # members of a collection may be told
FILES_TOO = 4  # without it only a collection may be told at this path (an ancestor of a scope)
EMPTY_ONLY = 16  # a collection is removed, copied or moved only without members: they may not all be treated like itself
NO_LINKS = 32  # no symbolic link is followed: what is allowed at one path need not be at another
BY_CAPABILITY = 8  # a capability to modify covers this path: it is not left to the account's permissions alone


class Hello(Struct, frozen=True, array_like=True, tag=0):
    version: int
    software: str


class Request(Struct, frozen=True, array_like=True, tag=1):
    id: int  # of this exchange, chosen by the gateway, not used again while it is open
    request_id: str  # what the client and every log line see
    method: str
    area: str
    path: bytes  # decoded once, relative to the area's root, segments joined by "/"; b"" is the root itself
    collection: bool  # the URL ended in "/"
    rights: int
    fields: dict[str, bytes]  # lower-case name: value, only those of REQUEST_FIELDS
    streamed: bool = False  # the body comes on the stream end that this packet carries
    length: int | None = None  # of the body as announced; None: no body, or chunked when streamed
    target_area: str = ""  # COPY and MOVE
    target_path: bytes = b""
    target_collection: bool = False
    target_rights: int = 0
    principal: str = ""  # of the caller, the same for each of its requests and nobody else's: whose lock tokens may be used
    asked_as: str = ""  # the path of the area, or the alias of it, that the URL began with; hrefs are answered in the same form
    listing_order: str = ""  # one of LISTING_ORDERS; "" when nothing was asked for
    within: bytes = b""  # a collection at or above the path, by the token's scopes: no symbolic link may lead out of it
    target_within: bytes = b""


class SendBody(Struct, frozen=True, array_like=True, tag=2):
    """Carries the stream end to which the body of the answer is to be written."""

    id: int


class EndOfBody(Struct, frozen=True, array_like=True, tag=3):
    """The request's body is complete: exactly so many bytes went into the stream."""

    id: int
    length: int


class Cancel(Struct, frozen=True, array_like=True, tag=4):
    id: int


class Answer(Struct, frozen=True, array_like=True, tag=5):
    id: int
    status: int
    fields: Annotated[list[tuple[bytes, bytes]], Meta(max_length=MAX_FIELDS)]  # names of ANSWER_FIELDS
    streamed: bool = False  # the body comes on a stream; otherwise it is in this packet
    length: int | None = None  # of the body; None: told by End only. For HEAD: what GET would send
    problem: str = ""  # a code of channel/problems.py; the gateway makes the body
    detail: str = ""  # for the log, at most 500 characters, never for the client


class Continue(Struct, frozen=True, array_like=True, tag=6):
    """The request can be carried out as far as one can tell before its body: send it."""

    id: int


class End(Struct, frozen=True, array_like=True, tag=7):
    """The answer's body is complete, or (complete = False) cannot be."""

    id: int
    length: int
    complete: bool
    detail: str = ""


class NotServed(Struct, frozen=True, array_like=True, tag=8):
    id: int


ToWorker = Hello | Request | SendBody | EndOfBody | Cancel
FromWorker = Hello | Answer | Continue | End | NotServed

# Request fields that a worker needs; everything else, and above all Authorization, stays in the gateway.
REQUEST_FIELDS = frozenset(
    [
        "content-digest",
        "content-md5",
        "content-type",
        "content-range",
        "depth",
        "digest",
        "if",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "lock-token",
        "oc-checksum",
        "overwrite",
        "range",
        "repr-digest",
        "timeout",
        "want-digest",
        "want-repr-digest",
        "x-oc-mtime",
    ]
)

# Answer fields that a worker may set; Content-Length, Date, Server, Connection and the request id are the gateway's.
ANSWER_FIELDS = frozenset(
    (
        b"accept-ranges allow cache-control content-disposition content-range content-security-policy content-type dav digest etag "
        b"last-modified locality lock-token ms-author-via repr-digest vary x-oc-mtime"
    ).split()
)
