"""People of LDAP, as SSSD hands them over: name@domain, forty groups, a directory that changes, hangs and stops."""

from typing import Any

import pytest

from teapot.authority.account_directory import PATIENCE_S
from tests.accounts_directory.guest import FIRST_GID, GROUPS

Notes = dict[str, Any]
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

ALL = [FIRST_GID + number for number in range(GROUPS)]
SERVED = ("200", "201", "204")


def test_a_name_with_a_domain_is_served_with_all_its_groups(notes: Notes) -> None:
    assert notes["put"]["status"] == "201", (notes["put"], notes["id"], notes["ldapadd"], notes["journal"])
    assert notes["put"]["groups"] == ALL
    assert notes["local"]["status"] == "201"


def test_a_membership_that_ends_in_the_directory_ends_in_a_worker_that_runs(notes: Notes) -> None:
    assert notes["change seen"] and notes["change seen after"] < 20
    assert notes["changed"]["status"] == "200"
    assert notes["changed"]["groups"] == [group for group in ALL if group != FIRST_GID + 7]


def test_a_directory_that_hangs_stalls_only_whom_it_has_not_told_of_yet(notes: Notes) -> None:
    assert (notes["hanging, unknown"]["status"], notes["hanging, unknown"]["groups"]) == ("503", [])
    assert notes["hanging, local"]["status"] == "200" and notes["hanging, local"]["seconds"] < 2
    # Who was told of before is waited for as long as the authority waits, and then an older answer counts.
    assert notes["hanging, known"]["status"] == "200" and notes["hanging, known"]["seconds"] < PATIENCE_S + 2
    assert notes["hung no more"] and notes["hung no more, groups"] == ALL


def test_a_directory_that_has_stopped_ends_nobody_whom_sssd_remembers(notes: Notes) -> None:
    assert notes["stopped, known"]["status"] == "200"
    assert notes["stopped, known"]["groups"] == notes["changed"]["groups"]
    assert notes["stopped, unknown"]["status"] not in SERVED


def test_nobody_is_served_with_fewer_groups_than_the_directory_says(notes: Notes) -> None:
    """Without SSSD's daemon its plug-in knows what it has mapped, for a moment; then nobody of the directory is served."""
    seen = [answer["groups"] for answer in notes["without sssd"] if answer["status"] in SERVED]
    assert [groups for groups in seen if len(groups) < GROUPS - 1] == []
    assert [answer["status"] for answer in notes["without sssd"]][-2:] == ["403", "403"]
    assert notes["without sssd, local"]["status"] == "200"
