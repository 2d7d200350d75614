"""teapot demo: the main job from end to end on this machine, without root: a demo issuer, Teapot, and curl as its client.

Runs as whoever starts it (as a temporary account when that is root), in a temporary directory, on free ports of the loopback
addresses, and leaves nothing behind. It never touches the configuration or the storage of a Teapot that is in use.
"""

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from teapot.demo import mint, service, site, story, temporary_account
from teapot.demo.issuer import Issuer
from teapot.demo.service import DemoFailed
from teapot.demo.temporary_account import NoAccount

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, or 1 when something was not as it should be."""
    if arguments:
        print("usage: teapot demo", file=sys.stderr)
        return 2
    for number in _ENDINGS:
        signal.signal(number, _leave)
    try:
        if not shutil.which("curl"):
            raise DemoFailed("The demo's client is curl, and it is not installed: apt-get install curl")
        if os.getuid() == 0:
            return temporary_account.run_as_ordinary_account(arguments)
        return _run()
    except KeyboardInterrupt:
        return 0
    except (DemoFailed, NoAccount) as reason:
        print(f"\nThe demo failed: {reason}", file=sys.stderr)
        return 1


def _run() -> int:
    with tempfile.TemporaryDirectory(prefix="teapot-demo-") as name:
        directory = Path(name).resolve()
        demo = site.prepare(directory)
        with Issuer(demo.issuer_files) as issuer:
            _introduce(demo, issuer)
            with service.running(demo) as seconds:
                print(f"Teapot is up at {demo.url}{site.AREA}/ after {seconds:.2f} s.", flush=True)
                _tell(demo)
                _stay(demo)
    return 0


def _introduce(demo: site.Site, issuer: Issuer) -> None:
    site.configure(demo, issuer.url)
    key = issuer.keys.write(demo.directory / "issuer-signing.key")
    site.describe_for_minting(demo, issuer.url, key, issuer.keys.kid["RS256"])
    claims = mint.write_authorization(demo.directory)
    print(f"Everything is in {demo.directory}; the demo's issuer is {issuer.url}.")
    story.heading("Teapot's configuration")
    story.show(["cat", str(demo.configuration)])
    story.heading("The claims of the token (it is in the file 'authorization', and never shown)")
    print(json.dumps(claims, indent=2))
    story.heading("Starting Teapot")
    print(f"$ {shlex.join(service.serve_command(demo))}", flush=True)


def _tell(demo: site.Site) -> None:
    try:
        story.Story(demo).tell()
    except DemoFailed as failed:
        raise DemoFailed(f"{failed} Teapot's log:\n{service.log_end(demo)}") from failed


def _stay(demo: site.Site) -> None:
    """In a terminal, until it is interrupted; without one the demo is over."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("\nAll of it went as it should. (In a terminal the demo would stay up now.)", flush=True)
        return
    story.heading("All of it went as it should. Teapot stays up: repeat the commands above, or try your own")
    print(f"A new token, when the old one has run out:\n$ {shlex.join(site.mint_command(demo))}")
    print("Stop with Ctrl-C; nothing is left behind.", flush=True)
    signal.pause()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Once: what cleans up is not to be interrupted."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
