"""/healthz says that the observer lives, /readyz that the service can serve; systemd hears the same."""

import json
import os
import signal
import socket
from collections.abc import Callable

import psutil

from teapot.kernel import landlock
from tests.observer.conftest import (
    NotifySocket,
    RunningObserver,
    authority,
    gateway,
    introduce_the_rest,
    requests,
    spawner_with,
)

Observe = Callable[..., RunningObserver]


def _missing(observer: RunningObserver) -> list[str]:
    answer = observer.get("/readyz")
    assert answer.status == 503
    said = json.loads(answer.body)
    assert said["ready"] is False
    return list(said["missing"])


def test_alive_without_anybody_but_not_ready(observe: Observe) -> None:
    observer = observe(gateways=2)
    assert observer.get("/healthz").status == 200
    assert _missing(observer) == ["0 of 2 gateways are ready", "the authority is not running", "the spawner is not running"]


def test_ready_when_all_gateways_the_authority_and_the_spawner_have_answered(observe: Observe) -> None:
    observer = observe(gateways=2)
    introduce_the_rest(observer)
    observer.introduce("gateway", gateway())
    observer.wait_until(lambda: _missing(observer) == ["1 of 2 gateways are ready"], "the others are not seen")
    observer.introduce("gateway", gateway())
    observer.wait_until(lambda: observer.status("/readyz") == 200, "not ready")
    assert json.loads(observer.get("/readyz").body) == {"ready": True, "missing": []}


def test_a_gateway_that_is_gone_is_missing_at_once(observe: Observe) -> None:
    observer = observe()
    introduce_the_rest(observer)
    leaving = observer.introduce("gateway", gateway())
    observer.wait_until(lambda: observer.status("/readyz") == 200, "not ready")
    leaving.leave()
    observer._players.remove(leaving)
    observer.wait_until(lambda: observer.status("/readyz") == 503, "still ready", timeout_s=1.0)


def test_an_authority_that_says_that_it_is_not_ready_is_missing(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", gateway())
    observer.introduce("spawner", spawner_with())
    observer.introduce("authority", authority(ready=False))
    observer.wait_until(lambda: _missing(observer) == ["the authority is not ready"], "it is not heard")


def test_a_spawner_that_falls_silent_is_missing_after_seconds(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", gateway())
    observer.introduce("authority", authority())
    spawner = observer.introduce("spawner", spawner_with())
    observer.wait_until(lambda: observer.status("/readyz") == 200, "not ready")
    spawner.reply = lambda ask: None
    observer.wait_until(lambda: observer.status("/readyz") == 503, "still ready", timeout_s=15.0)
    assert _missing(observer) == ["the spawner does not answer"]
    assert observer.get("/healthz").status == 200


def test_a_new_authority_replaces_the_old_one(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", gateway())
    observer.introduce("spawner", spawner_with())
    observer.introduce("authority", authority(ready=False))
    observer.introduce("authority", authority())
    observer.wait_until(lambda: observer.status("/readyz") == 200, "the old one is still asked")


def test_systemd_hears_what_is_missing_and_then_ready_once(observe: Observe, notify_socket: tuple[str, NotifySocket]) -> None:
    address, systemd = notify_socket
    observer = observe(notify_socket=address)
    systemd.wait_for("STATUS=Waiting: 0 of 1 gateways are ready, the authority is not running, the spawner is not running")
    introduce_the_rest(observer)
    observer.introduce("gateway", gateway())
    systemd.wait_for("READY=1")
    assert systemd.heard(2.5) == []


def test_systemd_in_the_abstract_name_space_hears_too(observe: Observe) -> None:
    address = f"@teapot-test-{os.getpid()}"
    systemd = NotifySocket(address)
    try:
        observer = observe(notify_socket=address)
        introduce_the_rest(observer)
        observer.introduce("gateway", gateway())
        systemd.wait_for("READY=1")
    finally:
        systemd.close()


def test_the_watchdog_is_fed_while_gateways_and_spawner_answer(
    observe: Observe, notify_socket: tuple[str, NotifySocket]
) -> None:
    address, systemd = notify_socket
    observer = observe(notify_socket=address, watchdog_s=3.0)
    introduce_the_rest(observer)
    player = observer.introduce("gateway", gateway())
    systemd.wait_for("WATCHDOG=1")
    player.reply = lambda ask: None
    observer.wait_until(lambda: observer.status("/readyz") == 503, "still ready", timeout_s=15.0)
    systemd.heard(0.1)
    assert "WATCHDOG=1" not in systemd.heard(2.5)


def test_it_leaves_when_the_master_is_gone(observe: Observe) -> None:
    observer = observe()
    observer.introduce("gateway", requests(1))
    observer.master.shutdown(socket.SHUT_RDWR)
    assert observer.process.wait(5) == 0


def test_it_leaves_when_told(observe: Observe) -> None:
    observer = observe()
    observer.process.send_signal(signal.SIGTERM)
    assert observer.process.wait(5) == 0


def test_its_title_says_role_and_account(observe: Observe) -> None:
    observer = observe()
    assert " ".join(psutil.Process(observer.process.pid).cmdline()).rstrip() == "teapot: observer [observer-test]"


def test_it_keeps_no_file_open_and_gives_up_all_names(observe: Observe) -> None:
    """Below Landlock where the kernel has it: otherwise its log says so."""
    observer = observe()
    inherited = {"/dev/null"}
    assert {file.path for file in psutil.Process(observer.process.pid).open_files()} <= inherited
    assert ("no Landlock" in observer.close()) == (landlock.abi() == 0)
