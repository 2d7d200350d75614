"""Runs inside the machine, as root: a directory (slapd, SSSD) that changes, hangs and stops while Teapot serves its people.

It judges nothing: that is what test_directory.py does with its notes.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer

NOTES = Path("/results/notes.json")
CA = Path("/etc/teapot/ca.pem")
ISSUER_PORT, PORT, LDAP = 7443, 8443, "ldap://127.0.0.1:1389"
BASE, DOMAIN = "dc=example,dc=org", "example.org"
FIRST_UID, FIRST_GID, GROUPS = 42001, 50001, 40
PEOPLE = ("carol", "dave", "erin")
_ADMIN = ("-x", "-H", LDAP, "-D", f"cn=admin,{BASE}", "-w", "secret")


def run(*command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def people() -> str:
    entries = [f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n"]
    for number, name in enumerate(PEOPLE):
        uid = FIRST_UID + number
        entries.append(
            f"dn: uid={name},{BASE}\nobjectClass: account\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\nuidNumber: {uid}\n"
            f"gidNumber: {uid}\nhomeDirectory: /home/{name}\nloginShell: /bin/sh\n"
        )
        entries.append(f"dn: cn={name},{BASE}\nobjectClass: posixGroup\ncn: {name}\ngidNumber: {uid}\n")
    members = "".join(f"memberUid: {name}\n" for name in PEOPLE)
    for number in range(GROUPS):
        entries.append(f"dn: cn=team{number},{BASE}\nobjectClass: posixGroup\ncn: team{number}\ngidNumber: {FIRST_GID + number}\n{members}")
    return "\n".join(entries)


def start_slapd() -> "subprocess.Popen[bytes]":
    slapd = subprocess.Popen(["slapd", "-d", "0", "-f", "/etc/ldap/slapd.conf", "-h", LDAP])
    wait_until(lambda: run("ldapsearch", *_ADMIN, "-b", BASE, "-s", "base").returncode in (0, 32))
    return slapd


def curl(issuer: Issuer, name: str, *arguments: str) -> dict[str, Any]:
    audience = f"https://localhost:{PORT}"
    token = issuer.token(f"{name}-subject", audience, scope="storage.read:/ storage.modify:/", **{"wlcg.ver": "1.0"})
    began = time.monotonic()
    command = ["curl", "-sS", "--max-time", "15", "--cacert", str(CA), "-H", f"Authorization: Bearer {token}", "-w", "\n%{http_code}"]
    done = run(*command, *arguments, f"{audience}/home/file")
    body, _, status = done.stdout.rpartition("\n")
    return {"status": status, "seconds": time.monotonic() - began, "body": body[:300], "groups": groups_of(name)}


def groups_of(name: str) -> list[int]:
    """Of the youngest worker of somebody: those of the directory."""
    uid = str(FIRST_UID + PEOPLE.index(name)) if name in PEOPLE else ""
    found = run("pgrep", "-n", "-u", uid, "-f", "^teapot: worker").stdout.strip() if uid else ""
    if not found:
        return []
    lines = Path("/proc", found, "status").read_text().splitlines()
    numbers = [int(word) for line in lines if line.startswith("Groups:") for word in line.split()[1:]]
    return sorted(number for number in numbers if number >= FIRST_GID)


def leave_group(name: str, number: int) -> None:
    run("ldapmodify", *_ADMIN, given=f"dn: cn=team{number},{BASE}\nchangetype: modify\ndelete: memberUid\nmemberUid: {name}\n")


def work(issuer: Issuer, notes: dict[str, Any]) -> None:
    slapd = start_slapd()
    notes["ldapadd"] = run("ldapadd", *_ADMIN, given=people()).stderr
    notes["sssd"] = run("systemctl", "start", "sssd").stderr
    notes["found"] = wait_until(lambda: run("getent", "passwd", f"carol@{DOMAIN}").returncode == 0)
    notes["id"] = run("id", f"carol@{DOMAIN}").stdout
    notes["start"] = run("systemctl", "start", "teapot").stderr
    notes["put"] = curl(issuer, "carol", "-T", "/etc/hosts")
    notes["local"] = curl(issuer, "alice", "-T", "/etc/hosts")
    changed(issuer, notes)
    hanging(issuer, notes, slapd)
    slapd.terminate()
    slapd.wait()
    notes["stopped, known"] = curl(issuer, "carol")
    notes["stopped, unknown"] = curl(issuer, "erin", "-T", "/etc/hosts")
    without_sssd(issuer, notes)
    slapd = start_slapd()
    run("systemctl", "restart", "sssd")
    notes["back"] = wait_until(lambda: curl(issuer, "erin", "-T", "/etc/hosts")["status"] in ("200", "201", "204"), 15)
    notes["back, groups"] = groups_of("erin")
    slapd.terminate()


def changed(issuer: Issuer, notes: dict[str, Any]) -> None:
    leave_group("carol", 7)
    began = time.monotonic()
    notes["change seen"] = wait_until(lambda: FIRST_GID + 7 not in (curl(issuer, "carol")["groups"] or [FIRST_GID + 7]), 30)
    notes["change seen after"] = time.monotonic() - began
    notes["changed"] = curl(issuer, "carol")


def hanging(issuer: Issuer, notes: dict[str, Any], slapd: "subprocess.Popen[bytes]") -> None:
    os.kill(slapd.pid, signal.SIGSTOP)
    stalled = subprocess.Popen(["getent", "passwd", f"dave@{DOMAIN}"], stdout=subprocess.DEVNULL)
    notes["hanging, unknown"] = curl(issuer, "dave", "-T", "/etc/hosts")
    notes["hanging, local"] = curl(issuer, "alice")
    notes["hanging, known"] = curl(issuer, "carol")
    os.kill(slapd.pid, signal.SIGCONT)
    stalled.wait()
    notes["hung no more"] = wait_until(lambda: curl(issuer, "dave", "-T", "/etc/hosts")["status"] in ("200", "201", "204"), 15)
    notes["hung no more, groups"] = groups_of("dave")


def without_sssd(issuer: Issuer, notes: dict[str, Any]) -> None:
    """Some of its answers stay in a file that libnss_sss reads by itself: the account, but not the groups, may be known."""
    run("systemctl", "stop", "sssd")
    notes["without sssd"] = [curl(issuer, name) for _ in range(4) for name in ("carol", "dave") if not time.sleep(0.7)]
    notes["without sssd, local"] = curl(issuer, "alice")


class Notes(dict[str, Any]):
    """Each is written down as it comes: a machine may be ended before the program is."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        NOTES.write_text(json.dumps({**self, "seconds": time.monotonic()}, indent=1))


def main() -> None:
    notes = Notes()
    try:
        with Issuer(ServerFiles(Path("/etc/teapot/tls/localhost.pem"), Path("/etc/teapot/tls/localhost.key")), port=ISSUER_PORT) as issuer:
            work(issuer, notes)
        notes["stop"] = run("systemctl", "stop", "teapot").stderr
    finally:
        notes["journal"] = run("journalctl", "--no-pager", "-o", "short-monotonic").stdout[-60000:]


if __name__ == "__main__":
    main()
