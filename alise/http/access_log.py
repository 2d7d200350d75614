"""One line a request, without what must not be in a log: of addresses only the path, and of a path no key.

A look-up that was answered is routine: thousands a second, and told only when log_level is debug.

    198.51.100.7 GET /api/v1/target/hpc/mapping/issuer/…/user/… 200 512 0.4ms key=k3x9m2pa
"""

import logging
import re
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from alise.http.client_address import ClientAddresses

_KEY_IN_PATH = re.compile(r"(/validate_apikey/).*", re.DOTALL)
KEY_ID: web.RequestKey[str] = web.RequestKey("key_id", str)
ROUTINE: web.RequestKey[bool] = web.RequestKey("routine", bool)
_LONGEST = 300


class AccessLogger(AbstractAccessLogger):
    addresses = ClientAddresses(())  # replaced by `access_logger`

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        level = logging.DEBUG if isinstance(request, web.Request) and ROUTINE in request else logging.INFO
        if not self.logger.isEnabledFor(level):
            return
        known = f" key={request[KEY_ID]}" if isinstance(request, web.Request) and KEY_ID in request else ""
        path, size = loggable(request.raw_path), response.body_length
        client = self.addresses.of(request)
        self.logger.log(level, "%s %s %s %d %d %.1fms%s", client, request.method[:20], path, response.status, size, time * 1000, known)

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)


class _WithoutRequests(logging.Filter):
    """aiohttp quotes a request that cannot be read, keys and cookies with it: what is kept of that is its kind."""

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if record.exc_info else None
        if isinstance(failure, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            record.msg, record.args = "a request cannot be read: %s", (type(failure).__name__,)
            record.exc_info = record.exc_text = None
        return True


def server_logger() -> logging.Logger:
    """For what goes wrong before a handler is asked."""
    logger = logging.getLogger("alise.server")
    if not logger.filters:
        logger.addFilter(_WithoutRequests())
    return logger


def access_logger(addresses: ClientAddresses) -> type[AccessLogger]:
    return type("AccessLogger", (AccessLogger,), {"addresses": addresses})


def loggable(raw_path: str) -> str:
    """The query holds keys, codes and states; an absolute address may hold a user."""
    path = raw_path.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    if _KEY_IN_PATH.search(unquote(path)):  # as the router reads it, however it was written
        path = _KEY_IN_PATH.sub(r"\1…", unquote(path))
    return path[:_LONGEST].encode("unicode_escape").decode()
