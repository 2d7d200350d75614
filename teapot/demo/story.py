"""What the demo shows: commands as anybody could type them, each printed, run, timed, and its outcome compared with what it should be."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

from teapot.demo.person import Browsing
from teapot.demo.service import DemoFailed, links_command
from teapot.demo.site import AREA, NAME, Site

_COMMAND_TIMEOUT_S = 30
_HEARD_S = 5.0
_POLL_S = 0.1
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_BOLD, _DIM, _PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Story:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._sent = site.directory / "hello.txt"
        self._received = site.directory / "received.txt"
        self._url = f"{site.url}{AREA}/hello.txt"
        self._browsing = Browsing(site)

    def tell(self) -> None:
        self._sent.write_text("This file went through Teapot.\n" * 1000)
        self.without_token()
        self.not_linked()
        self.link()
        self.upload()
        self.owner()
        self.listing()
        self.download()
        self.delete()
        self.processes()
        self.unlink()

    def without_token(self) -> None:
        heading("Without a token nobody gets in")
        self._curl("401", self._url, token=False)

    def not_linked(self) -> None:
        heading("With a token of the federation, but nobody has said whose account that is: the answer names the page where to")
        text = self._curl("403", "-T", str(self._sent), self._url)
        if f"{self._site.alise_url}/{NAME}" not in text:
            raise DemoFailed("The answer does not name the page.")

    def link(self) -> None:
        heading("Somebody with a browser goes there, logs in with either account, and says that both are theirs")
        self._browsing.link()

    def upload(self) -> None:
        heading("Upload: the same request as before")
        self._wait_for("PROPFIND", "207")
        self._curl("201", "-T", str(self._sent), self._url)

    def unlink(self) -> None:
        heading("Somebody takes the link away, and the next request is refused")
        self._browsing.unlink()
        self._wait_for("PROPFIND", "403")
        self._curl("403", "-T", str(self._sent), self._url)

    def _wait_for(self, method: str, expected: str) -> None:
        """Teapot hears of it from ALISE, within five seconds at most."""
        began, status = time.monotonic(), ""
        while status != expected and time.monotonic() - began < _HEARD_S:
            command = [*self._command(token=True), "-o", os.devnull, "-w", "%{http_code}", "-X", method, "-H", "Depth: 0"]
            done = subprocess.run([*command, f"{self._site.url}{AREA}/"], capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
            status = done.stdout
            time.sleep(0.0 if status == expected else _POLL_S)
        if status != expected:
            raise DemoFailed(f"HTTP {expected} was expected within {_HEARD_S:.0f} s, and it is {status}.")
        print(f"Teapot has heard of it {time.monotonic() - began:.1f} s later.", flush=True)

    def owner(self) -> None:
        heading("The file belongs to the account that the token's identity is linked to")
        show(links_command(self._site))
        show(["ls", "-ln", str(self._site.files)])
        stored = self._site.files / "hello.txt"
        show(["stat", "-c", "%n: owner %U (%u), group %G, mode %a", str(stored)])
        if stored.stat().st_uid != os.getuid():
            raise DemoFailed(f"{stored} belongs to uid {stored.stat().st_uid}")

    def listing(self) -> None:
        heading("List the collection (PROPFIND)")
        text = self._curl("207", "-X", "PROPFIND", "-H", "Depth: 1", f"{self._site.url}{AREA}/")
        if "hello.txt" not in text:
            raise DemoFailed("The listing does not name the file.")

    def download(self) -> None:
        heading("Download, and compare with what was sent")
        self._curl("200", "-o", str(self._received), self._url)
        show(["cmp", str(self._sent), str(self._received)])
        if self._sent.read_bytes() != self._received.read_bytes():
            raise DemoFailed("What came back is not what was sent.")
        print("the same")

    def delete(self) -> None:
        heading("Delete; afterwards there is nothing left")
        self._curl("204", "-X", "DELETE", self._url)
        self._curl("404", self._url)

    def processes(self) -> None:
        heading("The processes behind it")
        show(["pgrep", "-u", str(os.getuid()), "-a", "-f", "^teapot: "])

    def _curl(self, expected: str, *arguments: str, token: bool = True) -> str:
        text = show([*self._command(token=token), "-w", r"\nHTTP %{http_code} after %{time_total} s\n", *arguments])
        if f"HTTP {expected} after" not in text:
            raise DemoFailed(f"HTTP {expected} was expected.")
        return text

    def _command(self, *, token: bool) -> list[str]:
        command = ["curl", "-sS", "--cacert", str(self._site.ca)]
        if any(name in os.environ for name in _PROXIES):
            command += ["--noproxy", "localhost"]
        return [*command, "-H", f"@{self._site.authorization}"] if token else command


def heading(text: str) -> None:
    print(f"\n{_BOLD}{text}{_PLAIN}", flush=True)


def show(command: Sequence[str]) -> str:
    """Prints the command so that it can be repeated, its output, and how long it took."""
    print(f"$ {shlex.join(command)}", flush=True)
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_COMMAND_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise DemoFailed(f"{command[0]}: {failed}") from failed
    took_ms = (time.monotonic() - began) * 1000
    text = done.stdout.decode(errors="replace")
    print("\n".join([*text.splitlines(), f"{_DIM}[{took_ms:.0f} ms]{_PLAIN}"]), flush=True)
    return text
