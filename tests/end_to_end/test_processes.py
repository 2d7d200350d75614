"""The process boundaries as the kernel sees them, while the service serves: accounts, capabilities, sockets, memory."""

import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from teapot.demo.certificates import ServerFiles
from tests.end_to_end.conftest import StartTeapot
from tests.service import proc
from tests.service.accounts import Account
from tests.service.site import ALICE, BOB, Site
from tests.service.teapot_process import Teapot
from tests.service.tokens import Tokens

SPAWNER_CAPABILITIES = 1 << 5 | 1 << 6 | 1 << 7  # CAP_KILL, CAP_SETGID, CAP_SETUID
SERVICE_ROLES = {
    "gateway": "account",
    "authority": "authority_account",
    "observer": "observer_account",
    "spawner": "spawner_account",
}


@pytest.fixture(scope="module")
def at_work(teapot: Teapot, tokens: Tokens) -> Teapot:
    """Alice, bob and the VO account have a worker each."""
    for subject, target in ((ALICE, "/home/a"), (BOB, "/home/b"), (ALICE, "/vo/c")):
        assert teapot.request("PUT", target, tokens.of(subject), b"x" * 100_000).status in (200, 201)
    return teapot


def test_every_process_title_says_role_and_account(at_work: Teapot, site: Site) -> None:
    listing = subprocess.run(["ps", "-o", "args=", "-p", ",".join(str(p.pid) for p in at_work.processes())], capture_output=True, text=True)
    titles = sorted(re.sub(r"gateway \d+", "gateway N", line.strip()) for line in listing.stdout.splitlines())
    service = {role: site.service_accounts[key].name for role, key in SERVICE_ROLES.items()}
    expected = ["teapot: master [root]", f"teapot: gateway N [{service['gateway']}]", f"teapot: gateway N [{service['gateway']}]"]
    expected += [f"teapot: {role} [{service[role]}]" for role in ("authority", "observer", "spawner")]
    expected += [f"teapot: worker [{account.name}]" for account in (site.alice, site.bob, site.vo_demo)]
    assert titles == sorted(expected)


@pytest.mark.parametrize("role", ["gateway", "authority", "observer"])
def test_service_processes_have_their_account_no_group_and_no_capability(at_work: Teapot, site: Site, role: str) -> None:
    account = site.service_accounts[SERVICE_ROLES[role]]
    statuses = [proc.status(process.pid) for process in at_work.processes(role)]
    assert statuses
    for status in statuses:
        assert (set(status.uids), set(status.gids), status.groups) == ({account.uid}, {account.gid}, ())
        assert (status.permitted, status.effective, status.inheritable, status.ambient, status.bounding) == (0, 0, 0, 0, 0)
        assert status.no_new_privileges


def test_the_spawner_has_three_capabilities_and_no_more(at_work: Teapot, site: Site) -> None:
    status = proc.status(at_work.process("spawner").pid)
    account = site.service_accounts["spawner_account"]
    assert (set(status.uids), set(status.gids), status.groups) == ({account.uid}, {account.gid}, ())
    assert {status.permitted, status.effective, status.bounding} == {SPAWNER_CAPABILITIES}
    assert status.no_new_privileges


@pytest.mark.parametrize("who", ["alice", "bob", "vo_demo"])
def test_a_worker_is_its_account_entirely(at_work: Teapot, site: Site, who: str) -> None:
    account: Account = getattr(site, who)
    status = proc.status(at_work.worker_of(account).pid)
    assert (set(status.uids), set(status.gids)) == ({account.uid}, {account.gid})
    assert set(status.groups) == {*os.getgrouplist(account.name, account.gid)}
    assert (status.permitted, status.effective, status.inheritable, status.ambient) == (0, 0, 0, 0)
    assert status.no_new_privileges


@pytest.mark.parametrize("role", ["gateway", "observer", "worker"])
def test_who_connects_to_nobody_can_make_no_socket(at_work: Teapot, role: str) -> None:
    """seccomp 2: a filter; what it refuses is tested with the cage."""
    for process in at_work.processes(role):
        assert "Seccomp:\t2\n" in Path(f"/proc/{process.pid}/status").read_text()


def test_a_worker_has_no_descriptor_but_its_sockets_and_area_roots(at_work: Teapot, site: Site, alice: Account) -> None:
    descriptors = Path(f"/proc/{at_work.worker_of(alice).pid}/fd")
    targets = {os.readlink(each) for each in descriptors.iterdir()}
    strange = {
        target
        for target in targets
        if not target.startswith(("socket:", "/dev/null", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", str(site.home_of(alice))))
    }
    areas = {str(path) for path in (site.shared, site.public, site.vo)}
    assert not strange - areas


def test_a_workers_environment_says_nothing(at_work: Teapot, alice: Account) -> None:
    environment = Path(f"/proc/{at_work.worker_of(alice).pid}/environ").read_bytes()
    assert b"teapot.toml" not in environment and b"NOTIFY_SOCKET" not in environment


def test_nobody_can_look_into_a_worker_not_even_its_own_account(at_work: Teapot, alice: Account, bob: Account) -> None:
    for viewer in (alice, bob):
        assert viewer.run("cat", f"/proc/{at_work.worker_of(alice).pid}/environ").returncode != 0


def test_only_gateways_and_the_observer_listen_and_the_master_holds_their_sockets(at_work: Teapot) -> None:
    by_role = {role: {process.pid for process in at_work.processes(role)} for role in proc.ROLES}
    accepting = by_role["gateway"] | by_role["observer"] | by_role["master"]
    holders = _holders_of_listening_sockets({at_work.port, at_work.admin_port})
    assert set(holders[at_work.port]) == by_role["gateway"] | by_role["master"]
    assert set(holders[at_work.admin_port]) == by_role["observer"] | by_role["master"]
    everybody = {process.pid for process in at_work.processes()}
    assert not (everybody - accepting) & _pids_that_listen()


def test_gateways_and_workers_have_no_outgoing_connection(at_work: Teapot) -> None:
    table = subprocess.run(["ss", "-Htnp", "state", "established"], capture_output=True, text=True, check=True).stdout
    for process in [*at_work.processes("gateway"), *at_work.processes("worker"), *at_work.processes("spawner")]:
        for line in table.splitlines():
            if f"pid={process.pid}," in line:
                assert f":{at_work.port}" in line.split()[2], line


def test_the_tls_key_is_in_no_process_but_gateways_and_the_master(at_work: Teapot, server_files: ServerFiles) -> None:
    key = load_pem_private_key(server_files.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    prime = key.private_numbers().p
    needles = [prime.to_bytes(128, order) for order in ("little", "big")] + [server_files.key.read_bytes()[100:164]]  # type: ignore[arg-type]
    assert all(proc.memory_holds(process.pid, needles) for process in at_work.processes("gateway")), "the control: what is there is found"
    for role in ("worker", "authority", "spawner", "observer"):
        processes = at_work.processes(role)
        assert processes, role
        for process in processes:
            assert not proc.memory_holds(process.pid, needles), proc.title(process.pid)


def test_a_token_is_in_no_workers_and_not_in_the_spawners_memory(at_work: Teapot, tokens: Tokens) -> None:
    token = tokens.of(ALICE)
    assert at_work.request("PUT", "/home/t", token, b"x").status in (200, 201)
    needle = [token.rpartition(".")[2].encode()]
    for process in [*at_work.processes("worker"), *at_work.processes("spawner"), *at_work.processes("observer")]:
        assert not proc.memory_holds(process.pid, needle), proc.title(process.pid)


def test_no_process_has_a_socket_with_a_name_in_a_file_system(at_work: Teapot) -> None:
    table = subprocess.run(["ss", "-Hxlp"], capture_output=True, text=True, check=True).stdout
    ours = {process.pid for process in at_work.processes() if "observer" not in proc.title(process.pid)}
    named = [line for line in table.splitlines() if _pids(line) & ours]
    assert not named


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_2_and_1_3_are_spoken_and_1_1_is_not(at_work: Teapot) -> None:
    assert _negotiated(at_work, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert _negotiated(at_work, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(OSError):
        _negotiated(at_work, ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_address_families_are_served(at_work: Teapot, address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    assert at_work.curl("/home/", "--connect-to", f"localhost:{at_work.port}:{literal}:{at_work.port}").status == 401


def test_single_account_mode_runs_everything_as_the_one_who_started_it(
    start_teapot: StartTeapot, alice: Account, site: Site, tmp_path: Path
) -> None:
    teapot = start_single(start_teapot, site, alice)
    token = Tokens(site.issuer, teapot.url()).of(ALICE)
    assert teapot.request("PUT", "/home/single", token, b"x").status in (200, 201)
    statuses = [proc.status(process.pid) for process in teapot.processes()]
    assert {uid for status in statuses for uid in status.uids} == {alice.uid}
    assert all(status.effective == 0 for status in statuses)


def test_single_account_mode_serves_nobody_else(start_teapot: StartTeapot, alice: Account, site: Site) -> None:
    teapot = start_single(start_teapot, site, alice)
    answer = teapot.request("GET", "/home/any", Tokens(site.issuer, teapot.url()).of(BOB))
    assert (answer.status, answer.code) == (403, "account_not_served")


def start_single(start_teapot: StartTeapot, site: Site, alice: Account) -> Teapot:
    files = site.directory / "single"
    files.mkdir(exist_ok=True)
    for source, name in ((site.server_files.certificate, "cert.pem"), (site.server_files.key, "key.pem")):
        (files / name).write_bytes(source.read_bytes())
        (files / name).chmod(0o600)
        os.chown(files / name, alice.uid, alice.gid)
    server = {"tls_certificate": files / "cert.pem", "tls_key": files / "key.pem"}
    return start_teapot({"server": server, "worker": {"spool": site.home_of(alice) / ".spool"}}, alice)


def _holders_of_listening_sockets(ports: set[int]) -> dict[int, list[int]]:
    table = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    found: dict[int, list[int]] = {port: [] for port in ports}
    for line in table.splitlines():
        port = int(line.split()[3].rpartition(":")[2])
        if port in ports:
            found[port] += _pids(line)
    return found


def _pids_that_listen() -> set[int]:
    table = subprocess.run(["ss", "-Htulnp"], capture_output=True, text=True, check=True).stdout
    return {pid for line in table.splitlines() for pid in _pids(line)}


def _pids(line: str) -> set[int]:
    return {int(pid) for pid in re.findall(r"pid=(\d+),", line)}


def _negotiated(teapot: Teapot, version: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cafile=str(teapot.ca))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("localhost", teapot.port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.version()
