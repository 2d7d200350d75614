"""What one small request may cost, whoever sends it: here it comes without a token, from anybody who can read the public area."""

import time

import pytest

from tests.service.teapot_process import Teapot

PROMPT_S = 5.0
DEEP = "/public" + "/a" * 2000
CONDITIONS = {
    "many conditions": "(" + "Not <a:b>" * 3400 + ")",
    "as many as are read": "(" + "Not <a:b>" * 250 + ")",
    "many lists": "(<a:b>)" * 64,
    "many resources": " ".join(f"</public{'/a' * depth}> (<a:b>)" for depth in range(1993, 2000)),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_an_if_header_about_a_deep_path_is_answered_promptly(teapot: Teapot, kind: str) -> None:
    """Each resource that it names is looked at once, however many conditions there are."""
    began = time.monotonic()
    answer = teapot.request("PROPFIND", DEEP, headers={"If": CONDITIONS[kind], "Depth": "0"}, timeout_s=60)
    assert answer.status in (400, 404, 412)
    assert time.monotonic() - began < PROMPT_S
