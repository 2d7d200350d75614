"""Runs inside the machine, as root: a directory (slapd, SSSD) that changes, is slow, hangs and stops while Teapot serves its people.

It judges nothing: that is what test_directory.py does with its notes.
"""

import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer
from teapot.kernel import name_service

if __name__ == "__main__":  # inside, where both lie in one folder
    from relay import Relay
else:
    from tests.accounts_directory.relay import Relay

NOTES = Path("/results/notes.json")
CA = Path("/etc/teapot/ca.pem")
ISSUER_PORT, PORT = 7443, 8443
LDAP_PORT, RELAY_PORT = 1389, 1388
LDAP, RELAY = f"ldap://127.0.0.1:{LDAP_PORT}", f"ldap://127.0.0.1:{RELAY_PORT}"
BASE, DOMAIN = "dc=example,dc=org", "example.org"
FIRST_UID, FIRST_GID, GROUPS, NESTED = 42001, 50001, 40, 3
BOB_UID = 31002
PEOPLE = ("carol", "dave", "erin", "frank", "grace", "heidi")
DENIED, DENIED_GID = "denied", 49000
POLICY = {"pam_service": "teapot", "recheck_s": 2.0, "denied_groups": ["root", f"{DENIED}@{DOMAIN}"]}
NSSWITCH = "passwd: files sss\ngroup: files sss\nshadow: files\nhosts: files\n"
SERVED = ("200", "201", "204")
SLOW_S = 0.12  # an answer of LDAP; SSSD asks it a good forty questions for somebody with all these groups
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


def person(name: str) -> str:
    return f"uid={name},{BASE}"


def group(name: str, gid: int, members: list[str]) -> str:
    listed = "".join(f"member: {member}\n" for member in members)
    return f"dn: cn={name},{BASE}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: {name}\ngidNumber: {gid}\n{listed}"


def entries() -> str:
    """Everybody is in forty groups, the first of them is in another group, that one in another, and so on; frank is in one more."""
    made = [f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n"]
    for number, name in enumerate(PEOPLE):
        uid = FIRST_UID + number
        made.append(
            f"dn: {person(name)}\nobjectClass: account\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\nuidNumber: {uid}\n"
            f"gidNumber: {uid}\nhomeDirectory: /home/{name}\nloginShell: /bin/sh\n"
        )
        made.append(group(name, uid, [person(name)]))
    made += [group(f"team{number}", FIRST_GID + number, [person(name) for name in PEOPLE]) for number in range(GROUPS)]
    for level in range(NESTED):
        inner = f"outer{level - 1}" if level else "team0"
        made.append(group(f"outer{level}", FIRST_GID + GROUPS + level, [f"cn={inner},{BASE}"]))
    made.append(group(DENIED, DENIED_GID, [person("frank")]))
    return "\n".join(made)


def start_slapd() -> "subprocess.Popen[bytes]":
    slapd = subprocess.Popen(["slapd", "-d", "0", "-f", "/etc/ldap/slapd.conf", "-h", LDAP])
    wait_until(lambda: run("ldapsearch", *_ADMIN, "-b", BASE, "-s", "base").returncode in (0, 32))
    return slapd


def curl(issuer: Issuer, name: str, *arguments: str) -> dict[str, Any]:
    audience = f"https://localhost:{PORT}"
    token = issuer.token(f"{name}-subject", audience, scope="storage.read:/ storage.modify:/", **{"wlcg.ver": "1.0"})
    began = time.monotonic()
    command = ["curl", "-sS", "--max-time", "20", "--cacert", str(CA), "-H", f"Authorization: Bearer {token}", "-w", "\n%{http_code}"]
    done = run(*command, *arguments, f"{audience}/home/file")
    body, _, status = done.stdout.rpartition("\n")
    return {"status": status, "seconds": time.monotonic() - began, "body": body[:300], "groups": groups_of(name)}


def put(issuer: Issuer, name: str) -> dict[str, Any]:
    return curl(issuer, name, "-T", "/etc/hosts")


def served_within(issuer: Issuer, name: str, seconds: float) -> bool:
    return wait_until(lambda: put(issuer, name)["status"] in SERVED, seconds)


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
    run("ldapmodify", *_ADMIN, given=f"dn: cn=team{number},{BASE}\nchangetype: modify\ndelete: member\nmember: {person(name)}\n")


def work(issuer: Issuer, notes: dict[str, Any]) -> None:
    slapd, relay = start_slapd(), Relay(RELAY_PORT, LDAP_PORT)
    notes["ldapadd"] = run("ldapadd", *_ADMIN, given=entries()).stderr
    notes["sssd"] = run("systemctl", "start", "sssd").stderr
    notes["found"] = wait_until(lambda: run("getent", "passwd", f"carol@{DOMAIN}").returncode == 0)
    notes["id"] = run("id", f"carol@{DOMAIN}").stdout
    notes["start"] = run("systemctl", "start", "teapot").stderr
    notes["put"] = put(issuer, "carol")
    notes["local"] = put(issuer, "alice")
    notes["denied group"] = put(issuer, "frank")
    changed(issuer, notes)
    slow(issuer, notes, relay)
    hanging(issuer, notes, slapd)
    slapd.terminate()
    slapd.wait()
    notes["stopped, known"] = curl(issuer, "carol")
    notes["stopped, unknown"] = put(issuer, "erin")
    slapd = start_slapd()
    run("systemctl", "restart", "sssd")
    notes["back"] = served_within(issuer, "erin", 15)
    notes["back, groups"] = groups_of("erin")
    without_sssd(issuer, notes)
    slapd.terminate()


def changed(issuer: Issuer, notes: dict[str, Any]) -> None:
    leave_group("carol", 7)
    began = time.monotonic()
    notes["change seen"] = wait_until(lambda: FIRST_GID + 7 not in (curl(issuer, "carol")["groups"] or [FIRST_GID + 7]), 30)
    notes["change seen after"] = time.monotonic() - began
    notes["changed"] = curl(issuer, "carol")


def slow(issuer: Issuer, notes: dict[str, Any], relay: Relay) -> None:
    """Each answer takes its time; all of them together take longer than anybody waits for."""
    relay.delay_s = SLOW_S
    began = time.monotonic()
    with ThreadPoolExecutor(1) as meanwhile:
        first = meanwhile.submit(put, issuer, "grace")
        notes["slow, local"] = [curl(issuer, "alice") for _ in range(10) if not time.sleep(0.3)]
        notes["slow, first"] = first.result()
    notes["slow, in the end"] = served_within(issuer, "grace", 40)
    notes["slow, groups"] = groups_of("grace")
    notes["slow, served after"] = time.monotonic() - began
    relay.delay_s = 0.0


def hanging(issuer: Issuer, notes: dict[str, Any], slapd: "subprocess.Popen[bytes]") -> None:
    os.kill(slapd.pid, signal.SIGSTOP)
    stalled = subprocess.Popen(["getent", "passwd", f"dave@{DOMAIN}"], stdout=subprocess.DEVNULL)
    notes["hanging, unknown"] = put(issuer, "dave")
    notes["hanging, local"] = curl(issuer, "alice")
    notes["hanging, known"] = curl(issuer, "carol")
    os.kill(slapd.pid, signal.SIGCONT)
    stalled.wait()
    notes["hung no more"] = served_within(issuer, "dave", 15)
    notes["hung no more, groups"] = groups_of("dave")


def without_sssd(issuer: Issuer, notes: dict[str, Any]) -> None:
    """Some of its answers stay in a file that libnss_sss reads by itself: heidi's account, but not her groups. Bob is no more known."""
    for name in ("carol", "dave"):
        curl(issuer, name)
    pwd.getpwnam(f"heidi@{DOMAIN}")
    run("systemctl", "stop", "sssd")
    notes["without sssd, heidi"] = put(issuer, "heidi")
    notes["what glibc says of heidi"] = getgrouplist(f"heidi@{DOMAIN}")
    notes["without sssd, local and new"] = put(issuer, "bob")
    notes["without sssd"] = [curl(issuer, name) for _ in range(4) for name in ("carol", "dave", "alice") if not time.sleep(0.5)]
    notes["what glibc says of nobody"] = error_of("nobody-at-all")
    Path("/etc/nsswitch.conf").write_text(NSSWITCH.replace("files sss", "sss files"))
    notes["what glibc says of nobody, files last"] = error_of("nobody-at-all")
    notes["without sssd, files last"] = [put(issuer, name) for name in ("heidi", "bob")]
    Path("/etc/nsswitch.conf").write_text(NSSWITCH)
    run("systemctl", "start", "sssd")
    notes["sssd again"] = [served_within(issuer, name, 15) for name in ("heidi", "bob")]
    notes["sssd again, groups"] = groups_of("heidi")


def getgrouplist(name: str) -> list[int]:
    return os.getgrouplist(name, pwd.getpwnam(name).pw_gid)


def error_of(name: str) -> str:
    try:
        return repr(name_service.passwd(name))
    except OSError as failed:
        return os.strerror(failed.errno or 0)


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
        lines = run("journalctl", "--no-pager", "-o", "short-monotonic").stdout.splitlines(keepends=True)
        notes["journal"] = "".join(line for line in lines if " slapd[" not in line)[-100000:]


if __name__ == "__main__":
    main()
