"""A channel to a gateway: what comes on it is carried out by the thread that takes it; large bodies go to the pump.

After its deadline, or when the worker leaves, a channel takes no new request (NotServed: nothing was done) but lets open ones finish.
"""

import contextlib
import functools
import os
import socket
import threading
import time
from dataclasses import dataclass

import msgspec

from teapot.channel import packets
from teapot.channel.worker_messages import (
    CHANNEL_VERSION,
    MAX_UNANSWERED,
    Answer,
    Cancel,
    Continue,
    End,
    EndOfBody,
    Hello,
    NotServed,
    Request,
    SendBody,
    ToWorker,
)
from teapot.worker import dispatch, fullness, put
from teapot.worker.bodies import Body, Receiving, Sending
from teapot.worker.dispatch import Office
from teapot.worker.pump import Pump
from teapot.worker.reading import Reply
from teapot.worker.refusal import Refusal, refusal_of
from teapot.worker.traffic import Traffic
from teapot.worker.upload import Upload

_SEND_PATIENCE_S = 30.0  # a gateway that reads no answers for so long has lost its channel
_MAX_DETAIL = 500


@dataclass(eq=False)
class Exchange:
    """A request that is not answered yet, or whose body is still moving."""

    request: Request
    body: Body | None = None  # of the answer, until its stream comes
    sending: Sending | None = None
    receiving: Receiving | None = None
    upload: Upload | None = None
    announced: int | None = None  # bytes of the request's body, by the end-of-body message
    drained: bool = False  # the stream of the request's body has ended
    cancelled: bool = False  # whoever asked is gone


class Channel:
    def __init__(self, end: socket.socket, until: float, office: Office, pump: Pump, traffic: Traffic, software: str) -> None:
        self.until = until
        self.closed = False  # cut: nothing is sent any more
        self._stopped = self._ended = False  # told to read no more; has read everything that there was
        self._taking = 0  # threads that are at a message
        self._end, self._office, self._pump, self._traffic = end, office, pump, traffic
        self._exchanges: dict[int, Exchange] = {}
        self._lock = threading.Lock()
        self._receiver = packets.Receiver[ToWorker](ToWorker)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_PATIENCE_S))
        self._send(Hello(CHANNEL_VERSION, software))

    @property
    def is_over(self) -> bool:
        """Nothing comes any more, and everything that came is dealt with."""
        return (self.closed or self._ended) and not self._taking and not self._exchanges

    def fileno(self) -> int:
        return self._end.fileno()

    def stop_if_expired(self, now: float) -> None:
        """Not while a request is open: the end of its body could not be told any more."""
        with self._lock:
            expired = self.until <= now and not self._exchanges
        if expired:  # what comes from now on is not admitted either
            self.stop_reading()

    def stop_reading(self) -> None:
        """What is sent from now on fails at the sender; what is queued is still read, and answered."""
        self._stopped = True
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RD)

    def take(self) -> bool:
        """Receive one message, if there is one, and carry it out. False: nothing comes any more."""
        with self._lock:
            self._taking += 1
        try:
            return self._take_next()
        except Exception:  # a fault of ours, or no memory: whoever waits on this channel must not wait for ever
            self._break()
            return False
        finally:
            with self._lock:
                self._taking -= 1

    def _take_next(self) -> bool:
        try:
            with self._lock:  # one after the other: a cancellation that another thread takes finds its request
                packet = self._receiver.receive(self._end, expected_descriptors=1, wait=False)
                admitted = self._admit(packet.message) if isinstance(packet.message, Request) else None
        except BlockingIOError:
            return True
        except (packets.ChannelError, OSError):
            self._ended = True
            if not self._stopped:
                self._break()
            return False
        self._take(packet, admitted)
        return not self.closed

    def _admit(self, request: Request) -> Exchange | None:
        """None: nothing is begun any more."""
        late = self.closed or time.monotonic() >= self.until
        if late or len(self._exchanges) >= 2 * MAX_UNANSWERED or not self._traffic.begin():
            return None
        exchange = self._exchanges[request.id] = Exchange(request)
        return exchange

    def _take(self, packet: packets.Packet[ToWorker], admitted: Exchange | None) -> None:
        stream = packet.descriptors[0] if packet.descriptors else -1
        try:
            message = packet.message
            if admitted is not None:
                stream = self._request(admitted, packet.body, stream)
            elif isinstance(message, Request):
                self._send(NotServed(message.id))
            elif isinstance(message, SendBody):
                stream = self._send_body(message.id, stream)
            elif isinstance(message, EndOfBody):
                self._end_of_body(message)
            elif isinstance(message, Cancel):
                self._cancel(message.id)
            elif isinstance(message, Hello) and message.version != CHANNEL_VERSION:
                self._break()
        finally:
            if stream >= 0:
                os.close(stream)

    # --- a request

    def _request(self, exchange: Exchange, body: bytes, stream: int) -> int:
        """Returns the descriptor if it was not used."""
        request = exchange.request
        try:
            if request.streamed:
                body_end, stream = _stream(stream), -1  # the stream's now to close, also when the request is refused
                self._receive_body(exchange, body_end)
                return stream
            office = self._office._replace(given_up=lambda: exchange.cancelled or self.closed)
            self._reply(exchange, dispatch.carry_out(office, request, body))
        except Refusal as refusal:
            self._refuse(exchange, refusal)
        except OSError as error:
            self._refuse(exchange, refusal_of(error))
        except MemoryError as error:
            self._refuse(exchange, Refusal("internal_error", f"out of memory: {error}"))
        except Exception as error:  # a fault of ours must neither end the worker nor leave the client waiting
            self._refuse(exchange, Refusal("internal_error", f"{type(error).__name__}: {error}"))
        return stream

    def _reply(self, exchange: Exchange, reply: Reply) -> None:
        request, body = exchange.request, reply.body
        if body is None:
            self._send(Answer(request.id, reply.status, reply.fields, length=reply.length))
            self._forget(exchange)
        elif (content := body.whole(packets.MAX_BODY_BYTES)) is not None:
            self._send(Answer(request.id, reply.status, reply.fields, length=len(content)), content)
            self._forget(exchange)
        else:
            self._offer(exchange, reply, body)

    def _offer(self, exchange: Exchange, reply: Reply, body: Body) -> None:
        """A large body: it is sent when its stream comes, which it never does if the request was cancelled meanwhile."""
        with self._lock:
            cancelled = exchange.cancelled
            exchange.body = None if cancelled else body
        if cancelled:
            self._drop(exchange, body)
        else:
            self._send(Answer(exchange.request.id, reply.status, reply.fields, streamed=True, length=body.length))

    def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        refusal = fullness.named(refusal, self._office, exchange.request)
        detail = refusal.detail[:_MAX_DETAIL]
        self._send(Answer(exchange.request.id, 0, refusal.fields, problem=refusal.problem, detail=detail))
        self._forget(exchange)

    def _forget(self, exchange: Exchange) -> None:
        if self._exchanges.pop(exchange.request.id, None) is not None:
            self._traffic.end()

    # --- a body that is sent

    def _send_body(self, number: int, stream: int) -> int:
        exchange = self._exchanges.get(number)
        if exchange is None or stream < 0:
            return stream
        with self._lock:
            if exchange.sending or exchange.cancelled or exchange.body is None:
                return stream
            exchange.sending = Sending(self._pump, _stream(stream), exchange.body, functools.partial(self._sent, exchange))
        self._move(exchange.sending, sends=True)
        return -1

    def _sent(self, exchange: Exchange, moved: int, complete: bool, detail: str) -> None:
        self._send(End(exchange.request.id, moved, complete, detail[:_MAX_DETAIL]))
        self._forget(exchange)

    # --- a body that is received

    def _receive_body(self, exchange: Exchange, end: socket.socket) -> None:
        try:
            exchange.upload = dispatch.begin_upload(self._office, exchange.request)
        except BaseException:
            end.close()
            raise
        exchange.receiving = Receiving(self._pump, end, exchange.upload, lambda refusal: self._drained(exchange, refusal))
        self._send(Continue(exchange.request.id))
        self._move(exchange.receiving, sends=False)

    def _move(self, transfer: Sending | Receiving, *, sends: bool) -> None:
        try:
            self._pump.add(transfer, sends=sends)
        except (RuntimeError, MemoryError) as error:
            transfer.fail(f"no thread to move it: {error}")

    def _drained(self, exchange: Exchange, refusal: Refusal | None) -> None:
        """The stream has ended, or cannot be taken any further."""
        if refusal is not None:
            self._give_up(exchange, refusal)
            return
        with self._lock:
            exchange.drained = True
            complete, cancelled = exchange.announced is not None, exchange.cancelled
        if self.closed or cancelled:
            self._give_up(exchange, None)
        elif complete:
            self._commit(exchange)

    def _end_of_body(self, message: EndOfBody) -> None:
        exchange = self._exchanges.get(message.id)
        if exchange is None or exchange.upload is None:
            return
        with self._lock:
            repeated = exchange.announced is not None
            exchange.announced = message.length
            drained = exchange.drained and not repeated
        if drained:
            self._commit(exchange)

    def _commit(self, exchange: Exchange) -> None:
        assert exchange.upload is not None and exchange.announced is not None
        try:
            reply = put.end(exchange.request, exchange.upload, exchange.announced)
        except Refusal as refusal:
            self._give_up(exchange, refusal)
        except Exception as error:
            self._give_up(exchange, Refusal("internal_error", f"{type(error).__name__}: {error}"))
        else:
            self._reply(exchange, reply)

    def _give_up(self, exchange: Exchange, refusal: Refusal | None) -> None:
        if exchange.upload:
            exchange.upload.abort()
        if refusal is None:
            self._forget(exchange)
        else:
            self._refuse(exchange, refusal)

    # --- ends

    def _cancel(self, number: int) -> None:
        """The gateway has closed its end of the stream as well, so a transfer that waits is woken by that."""
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        with self._lock:
            exchange.cancelled = True
            drained = exchange.drained and exchange.announced is None
            waits = None
            if exchange.sending is None:  # and only one cancellation drops it
                waits, exchange.body = exchange.body, None
        if exchange.upload:
            exchange.upload.call_off()
        if exchange.sending:
            exchange.sending.cancelled = True
        elif drained:
            self._give_up(exchange, None)
        elif waits:
            self._drop(exchange, waits)

    def _drop(self, exchange: Exchange, body: Body) -> None:
        body.close()
        self._forget(exchange)

    def abort(self) -> None:
        """Cut every transfer; each finds that at its next step."""
        self._break()

    def _break(self) -> None:
        """Nobody is at the other end, or it is not to be talked to: nothing that is open can be finished."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        for number in list(self._exchanges):
            self._cancel(number)

    def _send(self, message: msgspec.Struct, body: bytes = b"") -> None:
        if self.closed:
            return
        try:
            packets.send(self._end, message, body)
        except (OSError, packets.PeerGone):
            self._break()


def _stream(descriptor: int) -> socket.socket:
    stream = socket.socket(fileno=descriptor)
    stream.setblocking(False)
    return stream


def _timeval(seconds: float) -> bytes:
    return int(seconds).to_bytes(8, "little") + bytes(8)
