"""Tells systemd that the service is ready, how it is, and that it is alive (sd_notify(3)). Without systemd it says nothing.

The socket is opened once, before the process gives up everything that has a name.
"""

import logging
import socket

log = logging.getLogger(__name__)


class Systemd:
    def __init__(self, notify_socket: str) -> None:
        self._socket: socket.socket | None = None
        self._said = ""
        if notify_socket:
            self._connect("\0" + notify_socket[1:] if notify_socket.startswith("@") else notify_socket)

    def _connect(self, address: str) -> None:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            end.connect(address)
        except OSError as failed:
            end.close()
            log.error("systemd cannot be told that the service is ready: %s", failed)
        else:
            self._socket = end

    def tell_state(self, missing: list[str]) -> None:
        """READY when nothing is missing for the first time; a status line whenever it changes."""
        status = f"Waiting: {', '.join(missing)}" if missing else "Serving"
        if status != self._said and self._send(f"STATUS={status}" if missing else f"READY=1\nSTATUS={status}"):
            self._said = status

    def tell_alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(text.encode())
        except OSError as failed:
            log.warning("systemd does not hear: %s", failed)
            return False
        return True
