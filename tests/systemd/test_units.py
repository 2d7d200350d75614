"""The units, booted: what starts, what it may do, and that nothing is left when it stops."""

import difflib
import re
from pathlib import Path
from typing import Any

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
Notes = dict[str, Any]
pytestmark = pytest.mark.kernel

_BITS = {"SETUID": 7, "SETGID": 6, "KILL": 5, "SETPCAP": 8, "NET_BIND_SERVICE": 10}
_MASTER = sum(1 << bit for bit in _BITS.values())
_SPAWNER = sum(1 << _BITS[name] for name in ("SETUID", "SETGID", "KILL"))


def test_start_returns_when_the_service_is_ready(notes: Notes) -> None:
    assert notes["start"]["status"] == 0, notes["start"]["said"] + notes["journal"]
    assert notes["ready after start"].endswith("200")
    assert (notes["running"]["ActiveState"], notes["running"]["SubState"]) == ("active", "running")
    assert notes["running"]["StatusText"] == "Serving"


def test_an_upload_lands_as_the_account(notes: Notes) -> None:
    assert notes["put"]["status"] == "201", notes["put"]
    owner, mode, _ = notes["stored"].split()
    assert (owner, mode) == ("alice", "640")
    assert notes["get"]["status"] == "200"
    assert notes["get"]["body"].startswith("127.0.0.1 localhost")


def test_every_process_has_its_account_and_its_capabilities(notes: Notes) -> None:
    of_account = {title.split()[0]: caps for title, caps in notes["capabilities"].items()}
    assert sorted(of_account) == ["alice", "root", "teapot", "teapot-authority", "teapot-observer", "teapot-spawner"]
    effective = {account: int(caps["CapEff"], 16) for account, caps in of_account.items()}
    assert effective.pop("root") == _MASTER
    assert effective.pop("teapot-spawner") == _SPAWNER
    assert set(effective.values()) == {0}


def test_no_process_can_gain_privileges_and_all_are_filtered(notes: Notes) -> None:
    assert {caps["NoNewPrivs"] for caps in notes["capabilities"].values()} == {"1"}
    assert {caps["Seccomp"] for caps in notes["capabilities"].values()} == {"2"}


def test_no_process_dumps_its_memory(notes: Notes) -> None:
    assert notes["running"]["LimitCORE"] == "0"


def test_a_reload_replaces_the_gateways_and_keeps_the_master(notes: Notes) -> None:
    assert notes["reload"]["status"] == 0, notes["reload"]["said"]
    assert len(notes["gateways after"]) == 2
    assert not set(notes["gateways before"]) & set(notes["gateways after"])
    assert notes["reloaded"]["MainPID"] == notes["running"]["MainPID"]
    assert (notes["reloaded"]["ActiveState"], notes["reloaded"]["NRestarts"]) == ("active", "0")
    assert notes["get after reload"]["status"] == "200"


def test_two_instances_serve_beside_it(notes: Notes) -> None:
    for unit in ("teapot@one", "teapot@two"):
        assert notes[f"start {unit}"]["status"] == 0, notes[f"start {unit}"]["said"] + notes["journal"]
        assert notes[f"put {unit}"]["status"] == "201", notes[f"put {unit}"]
        assert notes[f"spool {unit}"] == "root 1733"
    assert {state["ActiveState"] for state in notes["three"].values()} == {"active"}
    assert len({state["MainPID"] for state in notes["three"].values()}) == 3


@pytest.mark.parametrize("unit", ["teapot", "teapot@one", "teapot@two"])
def test_stop_leaves_no_process_and_is_no_failure(notes: Notes, unit: str) -> None:
    assert notes[f"stop {unit}"]["status"] == 0
    assert notes[f"stop {unit}"]["seconds"] < 15
    assert notes[f"left of {unit}"] == {}
    assert (notes[f"after {unit}"]["ActiveState"], notes[f"after {unit}"]["Result"]) == ("inactive", "success")


def test_nothing_of_it_runs_outside_its_control_group_either(notes: Notes) -> None:
    assert notes["left at the end"] == []


def test_a_configuration_that_cannot_be_served_is_not_tried_again(notes: Notes) -> None:
    assert notes["start broken"]["status"] != 0
    assert (notes["broken"]["ActiveState"], notes["broken"]["NRestarts"]) == ("failed", "0")
    assert "no_such_key" in notes["journal"]


def test_systemd_has_nothing_to_object_to(notes: Notes) -> None:
    assert notes["verify"]["status"] == 0, notes["verify"]["said"]
    assert "teapot" not in notes["verify"]["said"]


def test_the_exposure_that_systemd_reckons_does_not_grow(notes: Notes) -> None:
    (level,) = re.findall(r"Overall exposure level for teapot.service: ([0-9.]+)", notes["security"])
    print(notes["security"])
    assert float(level) <= 3.0


def test_the_template_differs_from_the_service_in_names_and_spool_only() -> None:
    one, many = ((UNITS / name).read_text().splitlines() for name in ("teapot.service", "teapot@.service"))
    changed = [line for line in difflib.unified_diff(one, many, n=0, lineterm="") if line[0] in "+-" and line[:3] not in ("+++", "---")]
    allowed = ("Description=", "ExecStart=", "StateDirectory")
    assert [line for line in changed if not line[1:].startswith(allowed)] == []


def test_alise_is_ready_when_start_returns_as_an_account_of_its_own_with_one_capability(notes: Notes) -> None:
    assert notes["start alise"]["status"] == 0, notes["start alise"]["said"] + notes["journal"]
    assert '"status":"ready"' in notes["alise ready"]
    ((title, caps),) = notes["alise processes"].items()
    assert title.split()[0] not in ("root", "0")
    assert {int(caps["CapEff"], 16), int(caps["CapBnd"], 16)} == {1 << _BITS["NET_BIND_SERVICE"]}
    assert (caps["NoNewPrivs"], caps["Seccomp"]) == ("1", "2")


def test_what_root_does_to_alise_leaves_its_database_its_own(notes: Notes) -> None:
    assert notes["alise key"]["status"] == 0, notes["alise key"]["said"]
    owners = {line.split()[1] for line in notes["alise files"].splitlines()}
    modes = {line.split()[2] for line in notes["alise files"].splitlines()}
    assert len(owners) == 1 and not owners & {"root"} and modes == {"600"}, notes["alise files"]
    assert notes["restart alise"]["status"] == 0 and '"status":"ready"' in notes["alise ready again"]
    assert "a test" in notes["alise keys"]


def test_alise_stops_without_a_failure(notes: Notes) -> None:
    assert notes["stop alise"]["status"] == 0 and notes["stop alise"]["seconds"] < 10
    assert (notes["after alise"]["ActiveState"], notes["after alise"]["Result"]) == ("inactive", "success")


def test_systemd_has_nothing_to_object_to_in_alise_and_reckons_little_exposure(notes: Notes) -> None:
    assert notes["alise verify"]["status"] == 0 and "alise" not in notes["alise verify"]["said"], notes["alise verify"]
    (level,) = re.findall(r"Overall exposure level for alise.service: ([0-9.]+)", notes["alise security"])
    print(notes["alise security"])
    assert float(level) <= 2.0
