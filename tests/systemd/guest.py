"""Runs inside the machine, as root: starts, uses, reloads and stops the units as an admin would, and writes down what is to be seen.

It judges nothing: that is what test_units.py does with its notes.
"""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teapot.demo.certificates import ServerFiles
from teapot.demo.issuer import Issuer

NOTES = Path("/results/notes.json")
CA = Path("/etc/teapot/ca.pem")
ISSUER_PORT = 7443
ALISE_PORT = 8445
PORTS = {"teapot": 8443, "teapot@one": 9443, "teapot@two": 10443}  # the admin port is the next one
PROPERTIES = ("ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "LimitCORE", "Result", "ControlGroup")


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def timed(*command: str) -> dict[str, Any]:
    began = time.monotonic()
    done = run(*command)
    return {"status": done.returncode, "seconds": time.monotonic() - began, "said": done.stdout + done.stderr}


def show(unit: str) -> dict[str, str]:
    lines = run("systemctl", "show", unit, *(f"--property={name}" for name in PROPERTIES)).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def processes(unit: str) -> dict[str, str]:
    """Of the unit's control group: pid, and the account that the kernel says with the title that the process says."""
    group = show(unit)["ControlGroup"].strip("/")
    roots = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
    found = [path for path in (Path(root, group, "cgroup.procs") for root in roots) if group and path.exists()]
    pids = found[0].read_text().split() if found else []
    return {pid: run("ps", "-o", "user:32=,args=", "-p", pid).stdout.strip() for pid in pids}


def all_processes() -> list[str]:
    return [line for line in run("ps", "-eo", "args=").stdout.splitlines() if line.startswith("teapot: ")]


def curl(unit: str, token: str, path: str, *arguments: str) -> dict[str, Any]:
    url = f"https://localhost:{PORTS[unit]}{path}"
    header = f"Authorization: Bearer {token}"
    done = run("curl", "-sS", "--max-time", "20", "--cacert", str(CA), "-H", header, "-w", "\n%{http_code}", *arguments, url)
    body, _, status = done.stdout.rpartition("\n")
    return {"status": status, "body": body, "error": done.stderr}


def ready(unit: str) -> str:
    return run("curl", "-sS", "--max-time", "5", "-w", "%{http_code}", f"http://127.0.0.1:{PORTS[unit] + 1}/readyz").stdout


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def gateways(unit: str) -> set[str]:
    return {title for title in processes(unit).values() if "teapot: gateway" in title}


def token(issuer: Issuer, unit: str) -> str:
    audience = f"https://localhost:{PORTS[unit]}"
    return issuer.token("alice-subject", audience, scope="storage.read:/ storage.modify:/", **{"wlcg.ver": "1.0"})


def one_service(issuer: Issuer, notes: dict[str, Any]) -> None:
    unit, mine = "teapot", token(issuer, "teapot")
    notes["start"] = timed("timeout", "30", "systemctl", "start", unit)
    notes["ready after start"] = ready(unit)
    notes["running"] = show(unit)
    notes["put"] = curl(unit, mine, "/home/hello.txt", "-T", "/etc/hosts")
    stored = run("stat", "--format=%U %a %s", "/home/alice/data/hello.txt")
    notes["stored"] = stored.stdout.strip() or stored.stderr
    notes["get"] = curl(unit, mine, "/home/hello.txt")
    notes["processes"] = processes(unit)
    notes["capabilities"] = {title: bounding(pid) for pid, title in notes["processes"].items()}
    reload(unit, mine, notes)


def bounding(pid: str) -> dict[str, str]:
    lines = Path("/proc", pid, "status").read_text().splitlines()
    wanted = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if name in wanted}


def reload(unit: str, mine: str, notes: dict[str, Any]) -> None:
    before = gateways(unit)
    notes["reload"] = timed("systemctl", "reload", unit)
    notes["gateways before"] = sorted(before)
    wait_until(lambda: len(gateways(unit)) == 2 and not gateways(unit) & before)
    notes["gateways after"] = sorted(gateways(unit))
    notes["reloaded"] = show(unit)
    notes["get after reload"] = curl(unit, mine, "/home/hello.txt")


def side_by_side(issuer: Issuer, notes: dict[str, Any]) -> None:
    for unit in ("teapot@one", "teapot@two"):
        notes[f"start {unit}"] = timed("systemctl", "start", unit)
        notes[f"put {unit}"] = curl(unit, token(issuer, unit), f"/home/{unit}", "-T", "/etc/hosts")
        notes[f"spool {unit}"] = run("stat", "--format=%U %a", f"/var/lib/{unit.replace('@', '/')}").stdout.strip()
    notes["three"] = {unit: show(unit) for unit in PORTS}


def stop_one_after_the_other(notes: dict[str, Any]) -> None:
    for unit in PORTS:
        notes[f"stop {unit}"] = timed("systemctl", "stop", unit)
        notes[f"left of {unit}"] = processes(unit)
        notes[f"after {unit}"] = show(unit)
    notes["left at the end"] = all_processes()


def alise(notes: dict[str, Any]) -> None:
    """Started, asked, given a key by root while it runs, and started again by what may be another uid."""
    unit, url = "alise", f"https://localhost:{ALISE_PORT}/health/ready"
    ask = ("curl", "-sS", "--max-time", "10", "--cacert", str(CA), url)
    notes["start alise"] = timed("systemctl", "start", unit)
    notes["alise ready"] = run(*ask).stdout
    notes["alise runs"] = show(unit)
    notes["alise processes"] = {title: bounding(pid) for pid, title in processes(unit).items()}
    notes["alise key"] = timed("alise", "keys", "create", "--site", "hpc", "--owner", "a test", "--json")
    notes["alise files"] = run("stat", "--format=%n %U %a", *map(str, sorted(Path("/var/lib/private/alise").iterdir()))).stdout
    notes["restart alise"] = timed("systemctl", "restart", unit)
    notes["alise ready again"] = run(*ask).stdout
    notes["alise keys"] = run("alise", "keys", "list").stdout
    notes["stop alise"] = timed("systemctl", "stop", unit)
    notes["after alise"] = show(unit)
    notes["alise security"] = run("systemd-analyze", "security", "--no-pager", "alise.service").stdout
    notes["alise verify"] = timed("systemd-analyze", "verify", "alise.service")


def broken(notes: dict[str, Any]) -> None:
    """A configuration that cannot be served: systemd is to try it once."""
    notes["start broken"] = timed("systemctl", "start", "teapot@broken")
    time.sleep(2)
    notes["broken"] = show("teapot@broken")


def main() -> None:
    notes: dict[str, Any] = {}
    try:
        with Issuer(ServerFiles(Path("/etc/teapot/tls/localhost.pem"), Path("/etc/teapot/tls/localhost.key")), port=ISSUER_PORT) as issuer:
            one_service(issuer, notes)
            side_by_side(issuer, notes)
            stop_one_after_the_other(notes)
            broken(notes)
        alise(notes)
        notes["security"] = run("systemd-analyze", "security", "--no-pager", "teapot.service").stdout
        notes["verify"] = timed("systemd-analyze", "verify", "teapot.service", "teapot@one.service")
    finally:
        notes["journal"] = run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", "teapot*", "-u", "alise").stdout
        NOTES.write_text(json.dumps(notes, indent=1))


if __name__ == "__main__":
    main()
