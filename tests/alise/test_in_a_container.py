"""ALISE on a PostgreSQL that runs in a container, as a site's platform offers it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alise.login.provider import Provider
from teapot.demo.certificates import ServerFiles
from tests.alise import containers
from tests.alise.providers.oidc_provider import free_port
from tests.alise.service import AliseProcess

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1200)]
ISSUER = "https://iam.example.org/"


@pytest.fixture(scope="module")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with containers.engine(tmp_path_factory.mktemp("podman")) as address:
        yield address


def test_links_of_a_database_in_a_container_are_answered(
    docker_host: str, root: None, tmp_path: Path, server_files: ServerFiles, ca: Path
) -> None:
    described = [Provider("hpc", "https://site.example.org", "a", "s", internal=True), Provider("iam", ISSUER, "a", "s")]
    with containers.postgresql(docker_host) as url:
        alise = AliseProcess(tmp_path, free_port(), described, server_files, ca, url)
        alise.run("links", "add", "--site", "hpc", "--username", "alice", "--issuer", ISSUER, "--subject", "ada")
        key = alise.run_json("keys", "create", "--site", "hpc", "--owner", "a service")["key"]
        alise.start()
        try:
            path = f"/api/v1/target/hpc/mapping/issuer/{hashlib.sha1(ISSUER.encode()).hexdigest()}/user/ada?apikey={key}"
            status, body = alise.get(path)
        finally:
            alise.stop()
        assert (status, json.loads(body)["internal"]["username"]) == (200, "alice")
        assert alise.run_json("audit", "verify")["whole"]
