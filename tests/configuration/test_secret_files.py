"""Secrets come from files that nobody else can read, or from systemd."""

import os
from pathlib import Path

import pytest

from common.configuration import BadConfiguration
from common.secret_files import secret

KEY = "mapping.alise.api_key_file"


def write(path: Path, content: bytes = b"s3cret\n", mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def refusal(value: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        secret(value, KEY)
    return caught.value.complaints[0]


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_of_its_owner_alone_is_read_without_its_line_end(tmp_path: Path, mode: int) -> None:
    assert secret(write(tmp_path / "key", mode=mode), KEY) == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610])
def test_a_secret_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    told = refusal(write(tmp_path / "key", mode=mode))
    assert told == f"{KEY}: others can read or change {tmp_path}/key: chmod 600 it"


def test_a_symbolic_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "key", mode=0o644)
    (tmp_path / "link").symlink_to("key")
    assert "chmod 600" in refusal(str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "is not text"), (b"x" * 65537, "is longer than")]
)
def test_what_cannot_be_a_secret_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(write(tmp_path / "key", content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "none")) == f"{KEY}: {tmp_path}/none cannot be read: No such file or directory"


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "is not a regular file" in refusal(str(tmp_path / "fifo"))
    assert "is not a regular file" in refusal(str(tmp_path))


def test_a_credential_is_read_from_systemds_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "alise", mode=0o440)  # as systemd shows it, where it gives the service's account access by an ACL
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret("credential:alise", KEY) == "s3cret"


def test_a_credential_that_everybody_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "alise", mode=0o444)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "others can read" in refusal("credential:alise")


@pytest.mark.parametrize("name", ["", "..", "../key", "/etc/passwd"])
def test_a_credential_is_a_name_not_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "must be credential:NAME" in refusal(f"credential:{name}")


def test_without_systemd_the_line_for_the_unit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "put LoadCredential=alise:PATH into the unit" in refusal("credential:alise")
