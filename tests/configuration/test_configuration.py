"""teapot check: what may be configured, how files add up, and what an admin is told when something is wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import teapot

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.toml"))

MINIMUM = """
[server]
public_url = "http://127.0.0.1:8080"
[[issuer]]
url = "https://iam.example.org/"
[[storage_area]]
name = "default"
path = "/default"
root = "/srv/data"
account = "vo_example"
"""


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "teapot", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)


def check(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("check", "--config", path, *arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """teapot.toml with the minimum, and an empty conf.d beside it."""
    (tmp_path / "conf.d").mkdir()
    written = tmp_path / "teapot.toml"
    written.write_text(MINIMUM)
    return written


def add(file: Path, name: str, text: str) -> Path:
    more = file.parent / "conf.d" / name
    more.write_text(text)
    return more


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem for path in BROKEN])
def test_a_broken_configuration_is_refused_with_its_reasons(path: Path, tmp_path: Path) -> None:
    expected = [line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith("# ")]
    path = Path(shutil.copyfile(path, tmp_path / path.name))
    done = check(path)
    assert done.returncode == 78
    assert done.stdout == ""
    complaints = done.stderr.splitlines()
    assert [reason for reason in expected if reason not in done.stderr] == []
    assert [line for line in complaints if not any(reason in line for reason in expected)] == []
    assert all(line.startswith(f"teapot: {path}:") for line in complaints)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
@pytest.mark.parametrize("name", ["teapot.toml", "conf.d/10-more.toml", "conf.d", "."])
def test_what_root_reads_and_others_can_change_is_refused(file: Path, name: str, mode: int) -> None:
    add(file, "10-more.toml", "[worker]\nmaximum = 3\n")
    (file.parent / name).chmod(mode | 0o111)
    done = check(file)
    told = f"teapot: {file.parent / name}: others can change it, and it is read as root: chmod go-w it"
    assert (done.returncode, done.stderr.strip()) == (78, told)


@pytest.mark.parametrize("name", ["teapot.toml", "conf.d/10-more.toml", "conf.d", "."])
def test_what_root_reads_and_another_account_owns_is_refused(file: Path, name: str) -> None:
    add(file, "10-more.toml", "[worker]\nmaximum = 3\n")
    os.chown(file.parent / name, 61001, -1)
    done = check(file)
    assert done.returncode == 78
    assert f"{file.parent / name}: belongs to another account, uid 61001" in done.stderr


def test_there_are_broken_configurations() -> None:
    assert len(BROKEN) >= 100


def test_the_minimum_is_accepted_and_summed_up(file: Path) -> None:
    done = check(file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"ok: {file}"
    assert "http://127.0.0.1:8080 on 127.0.0.1:8080: default at /default" in done.stdout


def test_the_minimum_with_tls_takes_the_usual_places(file: Path) -> None:
    file.write_text(MINIMUM.replace("http://127.0.0.1:8080", "https://teapot.example.org:8443"))
    lines = check(file, "--effective").stdout.splitlines()
    assert 'server.listen = ["[::]:8443"]    # default' in lines
    assert 'server.tls_key = "/etc/teapot/tls/key.pem"    # default' in lines


def test_an_identity_area_without_mapping_is_served_with_a_note(file: Path) -> None:
    file.write_text(MINIMUM.replace('account = "vo_example"', ""))
    done = check(file)
    assert done.returncode == 0
    assert "note: nobody can use default yet: none of [mapping.file], [mapping.alise], [[mapping.vo]] and [[mapping.claim]]" in done.stderr


def test_nested_storage_areas_are_accepted(file: Path) -> None:
    add(
        file,
        "nested.toml",
        '[[storage_area]]\nname = "below"\npath = "/default/below"\nroot = "{home}/data"\n[mapping.file]\npath = "/x"\n',
    )
    assert check(file).returncode == 0


@pytest.mark.parametrize("listen", ['["[::1]:8080"]', '["127.0.0.1:8080", "[::1]:8080"]', '["127.8.0.1:1"]'])
def test_loopback_addresses_need_no_tls(file: Path, listen: str) -> None:
    add(file, "listen.toml", f"[server]\nlisten = {listen}\n")
    assert check(file).returncode == 0


def test_effective_tells_every_value_and_where_it_comes_from(file: Path) -> None:
    lines = check(file, "--effective").stdout.splitlines()
    assert f'server.public_url = "http://127.0.0.1:8080"    # {file}: server.public_url' in lines
    assert f'issuer[0].url = "https://iam.example.org/"    # {file}: issuer[0].url' in lines
    assert "worker.idle_timeout_s = 600.0    # default" in lines
    assert "# mapping.file is not set" in lines


def test_conf_d_adds_tables_and_values_in_the_order_of_names(file: Path) -> None:
    second = add(file, "60-second.toml", '[[issuer]]\nurl = "https://third.example.org/"\n')
    first = add(file, "50-first.toml", '[worker]\nmaximum = 7\n[[issuer]]\nurl = "https://second.example.org/"\n')
    lines = check(file, "--effective").stdout.splitlines()
    assert f"worker.maximum = 7    # {first}: worker.maximum" in lines
    assert f'issuer[1].url = "https://second.example.org/"    # {first}: issuer[0].url' in lines
    assert f'issuer[2].url = "https://third.example.org/"    # {second}: issuer[0].url' in lines


def test_a_table_may_be_spread_over_files(file: Path) -> None:
    add(file, "server.toml", "[server]\nprocesses = 3\n")
    assert "server.processes = 3" in check(file, "--effective").stdout


def test_a_complaint_names_the_file_and_the_key_as_it_stands_there(file: Path) -> None:
    more = add(file, "more.toml", '[[issuer]]\nurl = "https://second.example.org/"\nbase_path = "x"\n')
    assert f"teapot: {more}: issuer[0].base_path: 'x' must begin with /" in check(file).stderr


def test_only_visible_toml_files_of_conf_d_are_read(file: Path) -> None:
    for name in (".#50.toml", "50.toml~", "50.toml.rpmsave", "README"):
        add(file, name, "nonsense")
    assert check(file).stdout.splitlines()[0] == f"ok: {file}"


def test_a_conf_d_that_cannot_be_listed_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "teapot.toml").write_text(MINIMUM)
    (tmp_path / "conf.d").write_text("")
    done = check(tmp_path / "teapot.toml")
    assert done.returncode == 78 and "conf.d: cannot be listed: Not a directory" in done.stderr


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[server]\npublic_url = "http://127.0.0.1:8081"\n', "server.public_url"),
        ("server = 3\n", "server"),
        ("issuer = []\n", "issuer"),
        ('[issuer]\nurl = "https://iam.example.org/"\n', "issuer"),
        ("[[server]]\nprocesses = 2\n", "server"),
    ],
)
def test_a_key_in_two_files_is_refused_and_both_are_named(file: Path, text: str, key: str) -> None:
    twice = add(file, "twice.toml", text)
    done = check(file)
    assert done.returncode == 78
    assert f"teapot: {twice}: {key}: is set already in {file}: keep one of the two" in done.stderr


def test_all_files_that_are_no_toml_are_named_at_once(file: Path) -> None:
    one, two = add(file, "1.toml", "[a\n"), add(file, "2.toml", "x = 1\nx = 2\n")
    told = check(file).stderr
    assert f"{one}:1: not TOML" in told and f"{two}:2: not TOML" in told


def test_a_file_that_is_not_utf8_is_refused(file: Path) -> None:
    file.write_bytes(b'[server]\npublic_url = "\xff"\n')
    done = check(file)
    assert done.returncode == 78 and "not TOML: byte 23 is not UTF-8" in done.stderr


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, verb: str) -> None:
    done = command(verb, "--config", tmp_path / "none.toml")
    assert done.returncode == 78 and f"{tmp_path}/none.toml: cannot be read: No such file" in done.stderr


def test_serve_refuses_what_check_refuses() -> None:
    done = command("serve", "--config", BROKEN[0])
    assert (done.returncode, done.stderr) == (78, check(BROKEN[0]).stderr)


def test_a_certificate_that_is_not_there_is_told_when_the_service_starts(file: Path) -> None:
    file.write_text(MINIMUM.replace("http://127.0.0.1:8080", "https://teapot.example.org:8443"))
    add(file, "tls.toml", f'[server]\ntls_certificate = "{file.parent}/none.pem"\ntls_key = "{file.parent}/none.pem"\n')
    assert check(file).returncode == 0
    assert command("serve", "--config", file).returncode == 1


ALISE = '[mapping.alise]\nurl = "https://alise.example.org"\nsite = "hpc"\napi_key_file = "{}"\n'


@pytest.mark.parametrize("mode", [None, 0o640, 0o644, 0o600])
def test_check_with_files_says_whether_a_secret_can_be_read_by_us_and_by_nobody_else(file: Path, mode: int | None) -> None:
    key = file.parent / "alise.key"
    if mode is not None:
        key.write_text("tp_secret\n")
        key.chmod(mode)
    add(file, "alise.toml", ALISE.format(key))
    done = check(file, "--files")
    assert check(file).returncode == 0
    assert done.returncode == (0 if mode == 0o600 else 1)
    assert mode == 0o600 or "teapot: mapping.alise.api_key_file: " in done.stderr
    assert "tp_secret" not in done.stderr + done.stdout


@pytest.mark.parametrize(("service", "status"), [("chpasswd", 0), ("no-such-service", 1)])
def test_check_with_files_says_whether_pam_knows_the_service(file: Path, service: str, status: int) -> None:
    add(file, "pam.toml", f'[accounts]\npam_service = "{service}"\n')
    done = check(file, "--files")
    assert (check(file).returncode, done.returncode) == (0, status)
    assert status == 0 or f"accounts.pam_service: there is no /etc/pam.d/{service}" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("brew",), ("check", "--confg", "x"), ("serve", "--effective"), ("demo", "now")])
def test_a_wrong_command_line_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode == 2 and "usage:" in done.stderr


def test_version() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"teapot {teapot.__version__}\n")


def test_nothing_of_the_environment_is_a_configuration(file: Path) -> None:
    before = check(file, "--effective").stdout
    environment = {**os.environ, "TEAPOT_SERVER_PROCESSES": "9", "HTTPS_PROXY": "http://proxy.example.org:3128"}
    line = [sys.executable, "-m", "teapot", "check", "--config", str(file), "--effective"]
    assert subprocess.run(line, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout == before
