"""A worker's life: opens what it may serve, closes its cage, proves it, serves, and ends by itself when it is idle.

Runs as the account that it serves, in a process that the spawner forked, with one descriptor: its control socket. It never sees a
caller's token, listens to nobody else, and has no name in a file system.
"""

import contextlib
import os
import select
import socket
import time
from typing import NoReturn

from teapot.accounts import Account
from teapot.channel import control_messages as control
from teapot.configuration import StorageArea
from teapot.configuration import Worker as Settings
from teapot.worker import cage, residency, site_commands, space_commands, threads
from teapot.worker.area import Area, of_account, open_areas
from teapot.worker.channels import Channel
from teapot.worker.command_runner import Command
from teapot.worker.crew import Crew
from teapot.worker.dispatch import Office
from teapot.worker.journal import Journal
from teapot.worker.pump import Pump
from teapot.worker.site_commands import SiteCommands
from teapot.worker.traffic import Traffic

_TICK_S, _SHORT_TICK_S = 1.0, 0.02  # most requests are short: whoever was told of one is soon told of its end
_LONGEST_S = 3600.0  # poll(2) does not take every number of milliseconds
_FINISH_S = 5.0  # once the spawner is gone, or wants us gone
_NO_LANDLOCK = "this kernel has no Landlock"
_DRAIN_S = 0.2  # for what was queued before the last channel was closed


class Leave(Exception):
    """The worker ends, now."""


class Life:
    def __init__(self, spawner: socket.socket, office: Office, software: str, commands: SiteCommands | None) -> None:
        self._spawner, self._office, self._software, self._commands = spawner, office, software, commands
        self._crew, self._pump, self._traffic = Crew(), Pump(), Traffic()
        self._channels: list[tuple[int, Channel]] = []
        self._pause_s = _SHORT_TICK_S
        self._told_busy = False
        self._told_idle: float | None = None  # since when; a request that came and went since makes it stale, see _make_room
        self._end_at: float | None = None  # what is open is cut then

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._spawner, select.POLLIN)
        if self._commands:
            poll.register(self._commands, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(self._pause_ms()):
                if descriptor == self._spawner.fileno():
                    self._hear(poll)
                else:  # who runs the site's commands says nothing unasked: it is gone, and the next worker has another
                    poll.unregister(descriptor)
                    self._leave(None)
            self._tick(time.monotonic())

    def _pause_ms(self) -> int:
        """The spawner knows that we are idle: sleep until that has lasted too long, so that 500 idle workers cost nothing."""
        if self._end_at or self._traffic.leaving or self._told_idle is None:
            self._pause_s = min(_TICK_S, 2 * self._pause_s) if self._told_busy else _SHORT_TICK_S
            return int(1000 * (_SHORT_TICK_S if self._traffic.leaving else self._pause_s))
        deadlines = [channel.until for _, channel in self._channels]
        ends = [self._traffic.idle_since + self._office.settings.idle_timeout_s, *deadlines]
        return max(20, int(min(_LONGEST_S, min(ends) - time.monotonic()) * 1000) + 20)

    def _hear(self, poll: "select.poll") -> None:
        try:
            received = control.receive(self._spawner, control.TO_WORKER)
        except (OSError, control.BadControl):
            received = None
        if received is None:
            poll.unregister(self._spawner)
            self._leave(_FINISH_S)
        else:
            self._obey(*received)

    def _obey(self, said: control.Control, descriptor: int | None) -> None:
        if said.kind == control.CHANNEL and descriptor is not None:
            self._open_channel(said.number, said.until, socket.socket(fileno=descriptor))
        elif said.kind == control.UNTIL:
            for channel in self._of(said.number):
                channel.until = said.until
        elif said.kind == control.CLOSE:
            for channel in self._of(said.number):
                channel.abort()
        elif said.kind == control.RETIRE:
            self._leave(None)
        elif said.kind == control.ABORT:
            self._leave(0.0)
        elif said.kind == control.LEAVE_IF_IDLE:
            self._make_room()

    def _make_room(self) -> None:
        """The longest idle worker is to go: one that was at work since it last told says so, and is not that one."""
        if not self._traffic.open and self._told_idle != self._traffic.idle_since:
            self._tell_idleness()
        elif not self._traffic.leave_if_idle():
            self._told_busy, self._told_idle = True, None
            self._tell(control.Control(control.BUSY, self._traffic.open))

    def _of(self, gateway: int) -> list[Channel]:
        return [channel for number, channel in self._channels if number == gateway]

    def _open_channel(self, gateway: int, until: float, end: socket.socket) -> None:
        channel = Channel(end, until, self._office, self._pump, self._traffic, self._software)
        self._channels.append((gateway, channel))
        self._told_idle = None
        self._crew.serve(channel)

    # --- time

    def _tick(self, now: float) -> None:
        for gateway, channel in list(self._channels):
            if channel.is_over:
                self._channels.remove((gateway, channel))
            else:
                channel.stop_if_expired(now)
        if self._end_at is not None and self._end_at <= now:
            self._cut()
        if now - self._traffic.idle_since >= self._office.settings.idle_timeout_s:
            self._traffic.leave_if_idle()
        if self._traffic.leaving and not self._traffic.open:
            self._depart()
        self._tell_idleness()

    def _tell_idleness(self) -> None:
        """Once a second at most, and only when it has changed."""
        if self._traffic.open:
            if not self._told_busy:
                self._told_busy, self._told_idle = True, None
                self._tell(control.Control(control.BUSY, self._traffic.open))
        elif self._told_idle != self._traffic.idle_since:
            self._told_busy, self._told_idle = False, self._traffic.idle_since
            self._tell(control.Control(control.IDLE_SINCE, 0, self._told_idle))

    def _tell(self, what: control.Control) -> None:
        with contextlib.suppress(OSError):
            control.send(self._spawner, what)

    # --- ends

    def _leave(self, within_s: float | None) -> None:
        """Take nothing new. within_s: how long what is open may go on; None: as long as it takes."""
        self._traffic.leave()
        self._tell(control.Control(control.LEAVING))
        if within_s is not None:
            self._end_at = time.monotonic() + within_s

    def _cut(self) -> NoReturn:
        """Transfers find their channel closed at their next step, forget their uploads, and then it is over."""
        for _, channel in self._channels:
            channel.abort()
        deadline = time.monotonic() + 1.0
        while self._traffic.open and time.monotonic() < deadline:
            time.sleep(0.01)
        raise Leave

    def _depart(self) -> NoReturn:
        """Senders fail from here on, the spawner too; what they had queued before is answered with NotServed."""
        self._tell(control.Control(control.LEAVING))
        self._take_last_channels()
        for _, channel in self._channels:
            channel.stop_reading()
        deadline = time.monotonic() + _DRAIN_S
        while not all(channel.is_over for _, channel in self._channels) and time.monotonic() < deadline:
            time.sleep(0.002)
        raise Leave

    def _take_last_channels(self) -> None:
        """The spawner may have sent some before it heard that we leave, and gateways their first requests on them."""
        with contextlib.suppress(OSError, control.BadControl):
            self._spawner.shutdown(socket.SHUT_RD)
            while received := control.receive(self._spawner, control.TO_WORKER):
                said, descriptor = received
                if said.kind == control.CHANNEL and descriptor is not None:
                    self._open_channel(said.number, said.until, socket.socket(fileno=descriptor))


def main(spawner: socket.socket, account: Account, areas: tuple[StorageArea, ...], settings: Settings, software: str) -> NoReturn:
    """Never returns. CageError and other exceptions before it serves are the caller's to report."""
    areas = of_account(areas, account)
    commands = site_commands.begin({**_residency_commands(areas), **space_commands.of_areas(areas, account)}, account.name)
    opened = open_areas(areas, account, commands)
    spool, without = _spool(settings, account)
    roots = [area.root for area in opened.values() if isinstance(area, Area)]
    threads.own_umask()
    owned = [spawner.fileno(), *roots, *([spool] if spool is not None else []), *([commands.fileno()] if commands else [])]
    cage.close_others(owned)
    cage.prove_descriptors(owned)
    abi = cage.close(roots, spool, open_files=settings.open_files, memory_bytes=settings.memory_bytes)
    journal = Journal(spool)
    journal.recover()
    life = Life(spawner, Office(opened, journal, settings), software, commands)
    control.send(spawner, control.Control(control.READY, abi, text="; ".join(filter(None, ("" if abi else _NO_LANDLOCK, without)))))
    with contextlib.suppress(Leave):
        life.run()
    journal.close()
    os._exit(0)


def _residency_commands(areas: tuple[StorageArea, ...]) -> dict[str, Command]:
    asked = {area.name: area.residency for area in areas if area.residency and area.residency.command}
    return {residency.command_name(name): Command(one.command, one.timeout_s) for name, one in asked.items()}


def _spool(settings: Settings, account: Account) -> tuple[int | None, str]:
    """The account's folder in the spool, made on first use where there is a spool (mode 1733); or what is wrong with it."""
    folder = os.path.join(settings.spool, account.name)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, ""  # this site has no spool
    except OSError as error:
        return None, f"no journal: {error}"
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
        return descriptor, ""
    os.close(descriptor)
    return None, f"no journal: {folder} is not the account's alone"
