"""teapot serve: what only root can open is opened here, then the other processes are started, linked, and started again when they end.

The master reads its configuration, and afterwards nothing but signals and the exits of its children: SIGTERM and SIGINT end the
service, SIGHUP renews it (see renewal.py). Its own end is the end of the others, who see the end of file on their master sockets.
"""

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from common.configuration import Loaded
from teapot.configuration import Configuration
from teapot.kernel import process
from teapot.master import authority_secrets, listening, renewal, service_accounts, site_programs, tape_document, tls_files
from teapot.master.service import Service
from teapot.master.service_accounts import CannotServe
from teapot.master.settings import Settings

log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(configuration: Configuration, files: tuple[Path, ...], config_path: Path) -> int:
    """Serve until told to end. The exit status: 0, or 1 with a message when the service cannot be started."""
    try:
        service = _prepare(configuration, config_path)
    except (CannotServe, listening.CannotListen) as reason:
        print(f"teapot: {reason}", file=sys.stderr)
        return 1
    log.info("configuration: %s", ", ".join(map(str, files)))
    service.start_all()
    return service.run()


def go_on(loaded: Loaded[Configuration], config_path: Path, kept: int) -> int:
    """As main, in a master that has executed itself anew and takes its children over."""
    settings = _settings(loaded.value, config_path)
    service = Service(settings)
    renewal.take_over(kept, service)
    service.renew_all()
    return service.run()


def _prepare(configuration: Configuration, config_path: Path) -> Service:
    settings = _settings(configuration, config_path)
    service_accounts.refuse_unreadable_software(settings.identities)
    service = Service(settings)
    service.sockets.open_all(settings)
    return service


def _settings(configuration: Configuration, config_path: Path) -> Settings:
    identities = service_accounts.identities(configuration.server)
    process.present("master", identities.single_account or "root", configuration.server.log_level)
    if not identities.single_account:
        service_accounts.refuse_missing_pam_service(configuration.accounts.pam_service)
    site_programs.refuse_unsafe(configuration.storage_area)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # workers that lose their spawner are ours to reap
    return Settings(
        configuration,
        config_path,
        identities,
        tls_files.read(configuration.server),
        _gateways(configuration),
        authority_secrets.read(configuration),
        tape_document.read(configuration.server),
    )


def _gateways(configuration: Configuration) -> int:
    return configuration.server.processes or min(len(os.sched_getaffinity(0)), 8)
