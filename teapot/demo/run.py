"""teapot demo: the main job from end to end on this machine, without root. Two login providers, ALISE, Teapot, a person with a browser,
and curl as the client: not linked, linked, the file lands as the local account, unlinked, refused.

Runs as whoever starts it (as a temporary account when that is root), in a temporary directory, on free ports of the loopback
addresses, and leaves nothing behind. It never touches the configuration or the storage of a Teapot that is in use.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from teapot.demo import mint, person, service, site, story, temporary_account
from teapot.demo.login_provider import LoginProvider
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
        with (
            LoginProvider(demo.issuer_files, "Demo computing centre", (person.at_the_site(),)) as login,
            LoginProvider(demo.issuer_files, "Demo federation", (person.IN_THE_FEDERATION,)) as federation,
        ):
            _introduce(demo, login, federation)
            with _started(service.alise(demo), f"{demo.alise_url}/"):
                _give_key(demo)
                with _started(service.teapot(demo), f"{demo.url}{site.AREA}/"):
                    _tell(demo)
                    _stay(demo)
    return 0


@contextlib.contextmanager
def _started(wanted: service.Service, url: str) -> Iterator[None]:
    story.heading(f"Starting {wanted.name}")
    print(f"$ {shlex.join(wanted.command)}", flush=True)
    with service.running(wanted) as seconds:
        print(f"{wanted.name} is up at {url} after {seconds:.2f} s.", flush=True)
        yield


def _give_key(demo: site.Site) -> None:
    print(f"The key by which Teapot asks it goes into a file:\n$ {shlex.join(service.key_command(demo))}", flush=True)
    service.write_key(demo)


def _introduce(demo: site.Site, login: LoginProvider, issuer: LoginProvider) -> None:
    site.configure(demo, issuer.url)
    client = site.configure_alise(demo, login.url, issuer.url)
    login.clients[site.CLIENT] = issuer.clients[site.CLIENT] = client
    key = issuer.keys.write(demo.directory / "issuer-signing.key")
    site.describe_for_minting(demo, issuer.url, key, issuer.keys.kid["RS256"])
    claims = mint.write_authorization(demo.directory)
    print(f"Everything is in {demo.directory}; the federation is {issuer.url}, the site's own login {login.url}.")
    story.heading("Teapot's and ALISE's configuration")
    story.show(["cat", str(demo.configuration)])
    story.show(["cat", str(demo.alise_configuration)])
    story.heading("The claims of the token (it is in the file 'authorization', and never shown)")
    print(json.dumps(claims, indent=2))


def _tell(demo: site.Site) -> None:
    try:
        story.Story(demo).tell()
    except DemoFailed as failed:
        logs = "\n".join(f"{each.name}'s log:\n{each.log_end()}" for each in (service.teapot(demo), service.alise(demo)))
        raise DemoFailed(f"{failed} {logs}") from failed


def _stay(demo: site.Site) -> None:
    """In a terminal, until it is interrupted; without one the demo is over."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("\nAll of it went as it should. (In a terminal the demo would stay up now.)", flush=True)
        return
    story.heading("All of it went as it should. Both stay up: repeat the commands above, or link anew in a browser of your own")
    print(f"ALISE: {demo.alise_url}/ (its certificate is of the demo's own authority, {demo.ca})")
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
