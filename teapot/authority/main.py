"""Starts the authority: reads its settings, shows its face, runs its loop."""

import logging
import sys

import uvloop

from teapot.authority.cannot_serve import CannotServe
from teapot.authority.serve import serve
from teapot.channel import start
from teapot.channel.start import AuthorityStart
from teapot.kernel import process

log = logging.getLogger(__name__)


def main(descriptor: int) -> None:
    begin = start.read(descriptor, AuthorityStart)
    process.present("authority", begin.account, begin.log_level)
    try:
        uvloop.run(serve(begin))
    except CannotServe as why:
        log.error("%s", why)
        sys.exit(1)
