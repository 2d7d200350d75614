"""A loopback proxy for clients that cannot send a token: adds Authorization to every request, and puts the service's name into Destination.

Everything else goes through as it is, byte by byte.
"""

import asyncio
import contextlib
import ssl
import threading

_PIECE = 65536


class HeaderProxy:
    """Runs in a thread of its own, in one loop: a TLS connection must not be read and written by two threads at once."""

    def __init__(self, context: ssl.SSLContext, port: int, token: str) -> None:
        self._context, self._service, self._token = context, port, token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1"), self._loop).result(10)
        self.port = int(listening.sockets[0].getsockname()[1])

    def url(self, path: str) -> str:
        return f"http://localhost:{self.port}{path}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        service, to_service = await asyncio.open_connection("localhost", self._service, ssl=self._context)
        ways = [asyncio.create_task(self._requests(client, to_service)), asyncio.create_task(_answers(service, to_client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_client.close()
            to_service.close()

    async def _requests(self, client: asyncio.StreamReader, to_service: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await client.readuntil(b"\r\n\r\n")
                to_service.write(self._changed(head))
                left = _length(head)
                while left and (data := await client.read(min(_PIECE, left))):
                    to_service.write(data)
                    await to_service.drain()
                    left -= len(data)

    def _changed(self, head: bytes) -> bytes:
        head = head.replace(b"Destination: " + self.url("").encode(), b"Destination: https://localhost:%d" % self._service)
        return head[:-2] + f"Authorization: Bearer {self._token}\r\n\r\n".encode()


async def _answers(service: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await service.read(_PIECE):
            to_client.write(data)
            await to_client.drain()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
