"""`alise serve`: listens, tells systemd, and ends in order: what is being answered is answered, what was noted is written.

SIGTERM and SIGINT end it; SIGHUP reads the certificate again. Several processes may serve one database.
"""

import asyncio
import logging
import os
import signal
import socket
import ssl

from aiohttp import web
from alembic.util.exc import CommandError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from alise.assembly import Running, Secrets, assembled
from alise.commands.opened import LATER_VERSION
from alise.configuration import Configuration, Server
from alise.http.access_log import access_logger, server_logger
from alise.http.listening import listeners
from common.configuration import BadConfiguration
from common.secret_files import secret_path

log = logging.getLogger(__name__)
_ACCESS = logging.getLogger("alise.access")
_BACKLOG = 1024
_KEEPALIVE_S = 75.0
_LONGEST_FIELD = 32 * 1024  # a token with many entitlements


class CannotServe(Exception):
    """With what to do about it."""


async def serve(configuration: Configuration, engine: AsyncEngine, secrets: Secrets) -> None:
    """Until it is told to end. CannotServe."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    try:
        tls = tls_of(configuration.server)
        loop.add_signal_handler(signal.SIGHUP, _renew, tls, configuration.server)
        async with assembled(configuration, engine, secrets) as running:
            await _listen_until(ending, configuration.server, running, tls)
    except CommandError as failed:  # of Alembic, which does not know the version that the tables have
        raise CannotServe(f"{LATER_VERSION}: {failed}") from failed
    except (SQLAlchemyError, OSError) as failed:
        raise CannotServe(f"{type(failed).__name__}: {_told(failed)}") from failed
    finally:
        await engine.dispose()


async def _listen_until(ending: asyncio.Event, server: Server, running: Running, tls: ssl.SSLContext | None) -> None:
    runner = make_runner(running, server.shutdown_timeout_s)
    await runner.setup()
    try:
        for listener in listeners(server.listen):
            await web.SockSite(runner, listener, ssl_context=tls, backlog=_BACKLOG).start()
        log.info("serving %s on %s", server.public_url, ", ".join(server.listen))
        _tell_systemd("READY=1")
        await ending.wait()
        _tell_systemd("STOPPING=1")
    finally:
        await runner.cleanup()


def make_runner(running: Running, shutdown_timeout_s: float) -> web.AppRunner:
    return web.AppRunner(
        running.app,
        access_log_class=access_logger(running.addresses),
        access_log=_ACCESS,
        logger=server_logger(),
        shutdown_timeout=shutdown_timeout_s,
        keepalive_timeout=_KEEPALIVE_S,
        max_field_size=_LONGEST_FIELD,
    )


def tls_of(server: Server) -> ssl.SSLContext | None:
    """CannotServe when the files cannot be used."""
    if not server.tls_key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        _load(context, server)
    except (OSError, ssl.SSLError, BadConfiguration) as failed:
        raise CannotServe(f"server.tls_certificate, server.tls_key: {failed}") from failed
    return context


def _load(context: ssl.SSLContext, server: Server) -> None:
    certificate = secret_path(server.tls_certificate, "server.tls_certificate")
    context.load_cert_chain(certificate, secret_path(server.tls_key, "server.tls_key"))


def _renew(tls: ssl.SSLContext | None, server: Server) -> None:
    """For connections that come from now on. Tried elsewhere first: a certificate whose key does not fit takes the old key away."""
    if tls is None:
        log.info("there is no certificate to be read again")
        return
    try:
        tls_of(server)
        _load(tls, server)
        log.info("the certificate was read again")
    except (CannotServe, OSError, BadConfiguration) as failed:  # an ssl.SSLError is an OSError
        log.error("the certificate was not renewed: %s", failed)


def _tell_systemd(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.connect("\0" + address[1:] if address.startswith("@") else address)
                end.send(state.encode())
        except OSError as failed:
            log.error("systemd cannot be told %s: %s", state, failed)


def _told(failed: Exception) -> str:
    """Without the statement and its values, which SQLAlchemy adds."""
    return str(getattr(failed, "orig", None) or failed).splitlines()[0][:300]
