"""A renewal may come at any time: after one that has not ended yet, while the service is starting anew, with a port that is taken."""

import os
import signal
import socket
import time

from tests.end_to_end.conftest import StartTeapot
from tests.service.teapot_process import Teapot, free_ports, wait_for


def _gateways(teapot: Teapot) -> set[int]:
    return {process.pid for process in teapot.processes("gateway")}


def _is_ready(teapot: Teapot) -> bool:
    try:
        return teapot.admin("/readyz").status == 200
    except OSError:
        return False


def _renewals(teapot: Teapot) -> int:
    return teapot.log().count("renewing")


def test_a_renewal_right_after_another_leaves_nobody_of_the_first_ones_behind(start_teapot: StartTeapot) -> None:
    """They would go on accepting, with a configuration and a certificate that are not to be used any more."""
    teapot = start_teapot()
    before = _gateways(teapot)
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: len(_gateways(teapot)) > len(before), 10, "no successors were started")
    between = _gateways(teapot)
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: _renewals(teapot) == 2 and not between & _gateways(teapot), 15, lambda: f"{between & _gateways(teapot)} go on")
    wait_for(lambda: _is_ready(teapot), 10, teapot.log_end)


def test_a_renewal_while_the_spawner_is_to_be_started_anew_starts_it(start_teapot: StartTeapot) -> None:
    """It may be what the admin does about a spawner that keeps ending."""
    teapot = start_teapot()
    teapot.process("spawner").kill()
    wait_for(lambda: "spawner ended unexpectedly" in teapot.log(), 5, teapot.log_end)
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: _renewals(teapot) == 1, 10, teapot.log_end)
    wait_for(lambda: bool(teapot.processes("spawner")) and _is_ready(teapot), 20, teapot.log_end)


def test_a_renewal_with_an_address_that_is_taken_changes_nothing(start_teapot: StartTeapot) -> None:
    teapot = start_teapot()
    before = _gateways(teapot)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        teapot.write_configuration({"server": {"listen": [f"[::]:{teapot.port}", taken]}})
        os.kill(teapot.pid, signal.SIGHUP)
        wait_for(lambda: f"cannot listen on {taken}" in teapot.log(), 10, teapot.log_end)
    time.sleep(1.0)
    assert teapot.is_running, teapot.log_end()
    assert _gateways(teapot) == before
    assert _is_ready(teapot)


def test_a_renewal_opens_an_address_and_closes_one(start_teapot: StartTeapot) -> None:
    teapot = start_teapot()
    (port,) = free_ports(1)
    teapot.write_configuration({"server": {"listen": [f"[::]:{teapot.port}", f"127.0.0.1:{port}"]}})
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: _accepts(port), 10, teapot.log_end)
    teapot.write_configuration({"server": {"listen": [f"[::]:{teapot.port}"]}})
    os.kill(teapot.pid, signal.SIGHUP)
    wait_for(lambda: not _accepts(port), 15, teapot.log_end)
    assert _is_ready(teapot)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
