"""teapot check: what may be configured, how files add up, and what an admin is told when something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.configuration import BadConfiguration, secret

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.toml"))

MINIMUM = """
[server]
public_url = "http://127.0.0.1:8080"
listen = ["127.0.0.1:8080"]
[[issuer]]
url = "https://iam.example.org/"
[[storage_area]]
name = "default"
path = "/default"
root = "/srv/data"
account = "vo_example"
"""


def check(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "teapot", "check", "--config", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem for path in BROKEN])
def test_a_broken_configuration_is_refused_with_its_reason(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    done = check(path)
    assert done.returncode == 78
    assert expected in done.stderr
    assert path.name in done.stderr


def test_there_are_broken_configurations() -> None:
    assert len(BROKEN) >= 20


def test_the_minimum_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "teapot.toml"
    file.write_text(MINIMUM)
    done = check(file)
    assert (done.returncode, done.stderr) == (0, "")


def test_effective_tells_every_value_and_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "teapot.toml"
    file.write_text(MINIMUM)
    lines = check(file, "--effective").stdout.splitlines()
    assert f'server.public_url = "http://127.0.0.1:8080"    # {file}' in lines
    assert "worker.idle_timeout_s = 600.0    # default" in lines
    assert f'issuer[0].url = "https://iam.example.org/"    # {file}' in lines


def test_conf_d_adds_tables_and_values(tmp_path: Path) -> None:
    file = tmp_path / "teapot.toml"
    file.write_text(MINIMUM)
    (tmp_path / "conf.d").mkdir()
    more = tmp_path / "conf.d" / "50-more.toml"
    more.write_text('[worker]\nmaximum = 7\n[[issuer]]\nurl = "https://second.example.org/"\n')
    lines = check(file, "--effective").stdout.splitlines()
    assert f"worker.maximum = 7    # {more}" in lines
    assert f'issuer[1].url = "https://second.example.org/"    # {more}' in lines


def test_a_key_in_two_files_is_refused_and_both_are_named(tmp_path: Path) -> None:
    file = tmp_path / "teapot.toml"
    file.write_text(MINIMUM)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "twice.toml").write_text('[server]\npublic_url = "http://127.0.0.1:8081"\n')
    done = check(file)
    assert done.returncode == 78
    assert "server.public_url is set already" in done.stderr and "twice.toml" in done.stderr and str(file) in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = check(tmp_path / "none.toml")
    assert done.returncode == 78 and "none.toml: cannot be read: No such file" in done.stderr


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    file.chmod(0o640)
    with pytest.raises(BadConfiguration, match="chmod 600"):
        secret(str(file))
    file.chmod(0o600)
    assert secret(str(file)) == "s3cret"


def test_a_credential_is_read_from_systemds_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfiguration, match="LoadCredential"):
        secret("credential:alise")
    (tmp_path / "alise").write_text("k")
    (tmp_path / "alise").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret("credential:alise") == "k"
