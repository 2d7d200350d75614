"""One request on a worker's channel, and the way of both bodies: inline up to 64 KiB, else over a stream pair that is made here.

The gateway gives one end of the pair away and keeps the other; it never takes a descriptor from a worker, and never touches a file.
"""

import asyncio
import contextlib
from typing import NamedTuple

from teapot.channel import packets
from teapot.channel.worker_messages import Answer, Continue, End, EndOfBody, FromWorker, NotServed, Request, SendBody
from teapot.configuration import Server
from teapot.gateway.authorise import Permit
from teapot.gateway.client_body import ClientBody
from teapot.gateway.failure import Failure
from teapot.gateway.receive import Received
from teapot.gateway.reply import Done, Reply
from teapot.gateway.splice import WORTHWHILE_BYTES, Splice
from teapot.gateway.stream import Stream
from teapot.gateway.worker_channel import Elsewhere, Exchange, WorkerChannel

_WANTED = frozenset(("want-digest", "want-repr-digest"))
_COMMIT_S = 600.0  # a large file may have to reach the disk before it is answered


class Job(NamedTuple):
    """Everything that belongs to one request."""

    received: Received
    permit: Permit
    body: ClientBody
    reply: Reply
    server: Server


async def exchange(job: Job, worker: WorkerChannel) -> Done:
    """Elsewhere: the worker did nothing, and nothing of the body was taken. Failure: the request fails before the answer has begun."""
    conversation = await worker.begin(job.server.answer_timeout_s)
    try:
        streamed = job.received.method == "PUT" and job.body.large
        done = await (_streamed if streamed else _inline)(job, worker, conversation)
    except BaseException:
        worker.cancel(conversation)
        raise
    finally:
        worker.end(conversation)
    return done


async def _inline(job: Job, worker: WorkerChannel, conversation: Exchange) -> Done:
    body = await job.body.whole()
    conversation.expects = (Answer, NotServed)  # there is nothing to continue with
    await worker.send(_request(job, conversation, len(body) if job.received.method == "PUT" else None), body)
    conversation.delivered = True
    return await _relay(job, worker, conversation, await conversation.next(_patience_s(job)))


def _patience_s(job: Job) -> float:
    """A checksum of a large file takes as long as reading it, and nothing can be said meanwhile."""
    wants_digest = not _WANTED.isdisjoint(job.received.fields)
    return max(job.server.answer_timeout_s, job.server.checksum_timeout_s) if wants_digest else job.server.answer_timeout_s


async def _streamed(job: Job, worker: WorkerChannel, conversation: Exchange) -> Done:
    with Stream(worker.patience) as stream:
        await worker.send_stream(_request(job, conversation, job.received.length, streamed=True), stream)
        conversation.delivered = True
        packet = await conversation.next(job.server.answer_timeout_s)
        if isinstance(packet.message, Continue):
            await _send_body(job, worker, conversation, stream)
            packet = await conversation.next(_COMMIT_S)
    return await _relay(job, worker, conversation, packet)


async def _send_body(job: Job, worker: WorkerChannel, conversation: Exchange, stream: Stream) -> None:
    sent = 0
    async for data in job.body.pieces():
        try:
            await stream.send(data, job.server.answer_timeout_s)
        except TimeoutError:
            raise Failure("worker_silent", "it does not take the body") from None
        except (BrokenPipeError, ConnectionResetError):
            return  # it has refused the rest: its answer says why
        sent += len(data)
    stream.close()
    with contextlib.suppress(Elsewhere):  # then its answer says so
        await worker.send(EndOfBody(conversation.number, sent))


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
        permit.principal,
        permit.location.asked_as,
        received.listing_order,
        permit.within,
        permit.target_within,
    )


async def _relay(job: Job, worker: WorkerChannel, conversation: Exchange, packet: packets.Packet[FromWorker]) -> Done:
    answer, reply = packet.message, job.reply
    if isinstance(answer, NotServed):
        raise Elsewhere
    assert isinstance(answer, Answer)
    if answer.problem:
        raise Failure(answer.problem, answer.detail, answer.fields)
    _refuse_misframed(job.received.method == "HEAD", answer, len(packet.body))
    if not job.body.complete:
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
    with Stream(worker.patience) as stream:
        try:
            await worker.send_stream(SendBody(conversation.number), stream)
        except Elsewhere:  # it has carried the request out: that is not done again by another, without the body even
            raise Failure("worker_lost") from None
        job.reply.head(answer.status, answer.fields, answer.length)
        received = await _carry(job, stream, answer.length)
        packet = await conversation.next(job.server.body_timeout_s)
    end = packet.message
    assert isinstance(end, End)
    if not end.complete or end.length != received or (answer.length is not None and received != answer.length):
        raise Failure("file_changed", end.detail or f"{received} of {answer.length} bytes")
    return await job.reply.end()


async def _carry(job: Job, stream: Stream, length: int | None) -> int:
    """Everything that the worker writes, but never more than it has announced."""
    try:
        carried = 0
        if length is not None and length >= WORTHWHILE_BYTES and (client := await job.reply.plain_socket()) is not None:
            carried = await _splice(job, stream, length, client)
        return await _copy(job, stream, length, carried)
    except TimeoutError:
        raise Failure("worker_silent", "its stream has stopped") from None


async def _splice(job: Job, stream: Stream, length: int, client: int) -> int:
    carried = 0
    with Splice(client) as splice:
        while size := await stream.splice(splice, length - carried, job.server.body_timeout_s):
            carried += size
            await splice.empty(size, more=carried < length)
            job.reply.sent += size
            await asyncio.sleep(0)  # everybody in turn
    return carried


async def _copy(job: Job, stream: Stream, length: int | None, carried: int) -> int:
    while data := await stream.receive(job.server.body_timeout_s):
        carried += len(data)
        if length is not None and carried > length:
            raise Failure("worker_misbehaved", "more bytes than announced")
        await job.reply.piece(data)
        await asyncio.sleep(0)
    return carried
