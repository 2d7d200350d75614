"""What a method answers with, before it becomes messages of the channel."""

from typing import NamedTuple

from teapot.channel.packets import MAX_BODY_BYTES
from teapot.worker.bodies import BrokenBody, FileBody, GeneratedBody
from teapot.worker.refusal import Refusal

Fields = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    status: int
    fields: Fields
    body: bytes = b""
    large: FileBody | GeneratedBody | None = None  # instead of body
    length: int | None = None  # of a body that HEAD leaves out
    problem: str = ""  # with fields that belong to it


def of_generated(status: int, fields: Fields, body: GeneratedBody) -> Reply:
    """In one packet if it fits."""
    try:
        small = body.small(MAX_BODY_BYTES)
    except BaseException:
        body.close()
        raise
    if small is None:
        return Reply(status, fields, large=body)
    return Reply(status, fields, small, length=len(small))


def of_file(status: int, fields: Fields, body: FileBody) -> Reply:
    """Takes the body over, also when it fails."""
    if body.length is None or body.length > MAX_BODY_BYTES:
        return Reply(status, fields, large=body, length=body.length)
    try:
        return Reply(status, fields, body.in_memory(), length=body.length)
    except BrokenBody as changed:
        raise Refusal("file_changed", str(changed)) from changed
    finally:
        body.close()
