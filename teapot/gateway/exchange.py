"""One request on a worker's channel, and the way of both bodies: inline up to 64 KiB, else over a stream pair that is made here.

The gateway gives one end of the pair away and keeps the other; it never takes a descriptor from a worker, and never touches a file.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiohttp import web

from teapot.channel import packets
from teapot.channel.worker_messages import Answer, Cancel, Continue, End, EndOfBody, FromWorker, NotServed, Request, SendBody
from teapot.configuration import Server
from teapot.gateway.authorise import Permit
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Done, Reply
from teapot.gateway.worker_channel import Elsewhere, Exchange, WorkerChannel

PIECE_BYTES = 256 * 1024
_STREAM_BUFFER_BYTES = 1 << 20
_COMMIT_S = 600.0  # a large file may have to reach the disk before it is answered


class Job(NamedTuple):
    """Everything that belongs to one request."""

    http: web.BaseRequest
    received: Received
    permit: Permit
    reply: Reply
    server: Server


async def exchange(job: Job, worker: WorkerChannel) -> Done:
    """Elsewhere: the worker did nothing, and nothing of the body was taken. Failure: the request fails before the answer has begun."""
    streamed = job.received.method == "PUT" and (job.received.chunked or (job.received.length or 0) > packets.MAX_BODY_BYTES)
    async with worker.exchange(job.server.answer_timeout_s) as conversation:
        over = False
        try:
            done = await (_streamed if streamed else _inline)(job, worker, conversation)
            over = True
            return done
        finally:
            if not over:
                worker.send_now(Cancel(conversation.number))


async def read_small_body(job: Job) -> bytes:
    """At most 64 KiB, as announced, in time."""
    received = job.received
    if not received.chunked and not received.length:
        return b""
    if received.expects_continue:
        job.reply.interim()
    parts, size = [], 0
    async for data in _pieces(job):
        size += len(data)
        if size > packets.MAX_BODY_BYTES:
            raise Failure("content_not_accepted", "a body of more than 64 KiB")
        parts.append(data)
    return b"".join(parts)


async def _inline(job: Job, worker: WorkerChannel, conversation: Exchange) -> Done:
    body = await _kept_body(job)
    conversation.expects = (Answer, NotServed)  # there is nothing to continue with
    await worker.send(_request(job, conversation, len(body) if job.received.method == "PUT" else None), body)
    return await _relay(job, worker, conversation, await conversation.next(job.server.answer_timeout_s))


async def _kept_body(job: Job) -> bytes:
    """Read once, though it may be sent to a second worker."""
    kept = job.http.get("teapot.body")
    if kept is None:
        kept = job.http["teapot.body"] = await read_small_body(job)
    return bytes(kept)


async def _streamed(job: Job, worker: WorkerChannel, conversation: Exchange) -> Done:
    ours, theirs = _stream_pair()
    with ours:
        with theirs:
            request = _request(job, conversation, job.received.length, streamed=True)
            await worker.send(request, descriptors=(theirs.fileno(),))
        packet = await conversation.next(job.server.answer_timeout_s)
        if isinstance(packet.message, Continue):
            if job.received.expects_continue:
                job.reply.interim()
            await _send_body(job, worker, conversation, ours)
            packet = await conversation.next(_COMMIT_S)
    return await _relay(job, worker, conversation, packet)


async def _send_body(job: Job, worker: WorkerChannel, conversation: Exchange, stream: socket.socket) -> None:
    loop, sent = asyncio.get_running_loop(), 0
    try:
        async for data in _pieces(job):
            async with asyncio.timeout(job.server.answer_timeout_s):
                await loop.sock_sendall(stream, data)
            sent += len(data)
    except TimeoutError:
        raise Failure("worker_silent", "it does not take the body") from None
    except (BrokenPipeError, ConnectionResetError):
        return  # it has refused the rest: its answer says why
    stream.close()
    with contextlib.suppress(Elsewhere):  # then its answer says so
        await worker.send(EndOfBody(conversation.number, sent))


async def _pieces(job: Job) -> AsyncIterator[bytes]:
    """The request's body as it comes; each piece in time, all of it or a Failure."""
    content = job.http.content
    try:
        while True:
            async with asyncio.timeout(job.server.body_timeout_s):
                data = await content.readany()
            if not data:
                return
            yield data
    except TimeoutError:
        raise Failure("body_too_slow") from None
    except (web.RequestPayloadError, ConnectionError, RuntimeError) as short:  # RuntimeError: aiohttp's "Connection closed."
        raise Failure("body_too_short", type(short).__name__) from short


def _request(job: Job, conversation: Exchange, length: int | None, streamed: bool = False) -> Request:
    permit, received = job.permit, job.received
    target = permit.target
    return Request(
        conversation.number,
        received.request_id,
        received.method,
        permit.location.area.name,
        permit.location.path,
        permit.location.collection,
        permit.rights,
        received.fields,
        streamed,
        length,
        target.area.name if target else "",
        target.path if target else b"",
        target.collection if target else False,
        permit.target_rights,
    )


async def _relay(job: Job, worker: WorkerChannel, conversation: Exchange, packet: packets.Packet[FromWorker]) -> Done:
    answer, reply = packet.message, job.reply
    if isinstance(answer, NotServed):
        raise Elsewhere
    assert isinstance(answer, Answer)
    if answer.problem:
        raise Failure(answer.problem, answer.detail, answer.fields)
    _refuse_misframed(job.received.method == "HEAD", answer, len(packet.body))
    if not job.http.content.is_eof():
        reply.keep_alive = False  # it answered without taking the whole body
    if not answer.streamed:
        head_only = job.received.method == "HEAD"
        reply.head(answer.status, answer.fields, answer.length if head_only or answer.length is not None else 0, packet.body)
        return await reply.end()
    return await _relay_body(job, worker, conversation, answer)


def _refuse_misframed(head_only: bool, answer: Answer, size: int) -> None:
    """What would shift the client's view of where the next answer begins."""
    bodiless = head_only or answer.status in (204, 304)
    if (size or answer.streamed) if bodiless else not answer.streamed and (answer.length or 0) != size:
        raise Failure("worker_misbehaved", f"{answer.status}: {size} bytes of {answer.length}, streamed: {answer.streamed}")


async def _relay_body(job: Job, worker: WorkerChannel, conversation: Exchange, answer: Answer) -> Done:
    ours, theirs = _stream_pair()
    with ours:
        with theirs:
            await worker.send(SendBody(conversation.number), descriptors=(theirs.fileno(),))
        job.reply.head(answer.status, answer.fields, answer.length)
        received = await _copy(job, ours, answer.length)
        packet = await conversation.next(job.server.body_timeout_s)
    end = packet.message
    assert isinstance(end, End)
    if not end.complete or end.length != received or (answer.length is not None and received != answer.length):
        raise Failure("file_changed", end.detail or f"{received} of {answer.length} bytes")
    return await job.reply.end()


async def _copy(job: Job, stream: socket.socket, length: int | None) -> int:
    """Everything that the worker writes, but never more than it has announced."""
    loop, received = asyncio.get_running_loop(), 0
    while True:
        try:
            async with asyncio.timeout(job.server.body_timeout_s):
                data = await loop.sock_recv(stream, PIECE_BYTES)
        except TimeoutError:
            raise Failure("worker_silent", "its stream has stopped") from None
        if not data:
            return received
        received += len(data)
        if length is not None and received > length:
            raise Failure("worker_misbehaved", "more bytes than announced")
        await job.reply.piece(data)


def _stream_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER_BYTES)
    return ours, theirs
