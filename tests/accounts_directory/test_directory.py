"""People of LDAP, as SSSD hands them over: name@domain, forty groups, nested ones; a directory that changes, is slow, hangs and stops."""

from typing import Any

import pytest

from teapot.authority.account_directory import PATIENCE_S
from teapot.configuration import Worker
from tests.accounts_directory.guest import FIRST_GID, FIRST_UID, GROUPS, NESTED, PEOPLE, SERVED

Notes = dict[str, Any]
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

ALL = [FIRST_GID + number for number in range(GROUPS + NESTED)]


def code(answer: dict[str, Any]) -> tuple[str, bool]:
    """Its status, and whether the directory is said to be the reason."""
    return answer["status"], "directory_unavailable" in answer["body"]


def test_a_name_with_a_domain_is_served_with_all_its_groups_the_nested_ones_too(notes: Notes) -> None:
    assert notes["put"]["status"] == "201", (notes["put"], notes["id"], notes["ldapadd"], notes["journal"])
    assert notes["put"]["groups"] == ALL
    assert notes["local"]["status"] == "201"


def test_a_member_of_a_denied_group_of_the_directory_is_refused(notes: Notes) -> None:
    assert (notes["denied group"]["status"], notes["denied group"]["groups"]) == ("403", [])


def test_a_membership_that_ends_in_the_directory_ends_in_a_worker_that_runs(notes: Notes) -> None:
    assert notes["change seen"] and notes["change seen after"] < 20
    assert notes["changed"]["status"] == "200"
    assert notes["changed"]["groups"] == [group for group in ALL if group != FIRST_GID + 7]


def test_a_slow_directory_is_waited_for_so_long_only_but_what_it_says_in_the_end_counts(notes: Notes) -> None:
    assert (code(notes["slow, first"]), notes["slow, first"]["groups"]) == (("503", True), [])
    assert notes["slow, first"]["seconds"] < PATIENCE_S + Worker().start_timeout_s + 2
    assert {local["status"] for local in notes["slow, local"]} == {"200"}
    assert max(local["seconds"] for local in notes["slow, local"]) < 2, "it holds up those of whom it need not be asked"
    assert notes["slow, in the end"] and notes["slow, groups"] == ALL
    assert notes["slow, served after"] > PATIENCE_S, "it was not slow"


def test_a_directory_that_hangs_stalls_only_whom_it_has_not_told_of_yet(notes: Notes) -> None:
    assert (code(notes["hanging, unknown"]), notes["hanging, unknown"]["groups"]) == (("503", True), [])
    assert notes["hanging, local"]["status"] == "200" and notes["hanging, local"]["seconds"] < 2
    # Who was told of before is waited for as long as the authority waits, and then an older answer counts.
    assert notes["hanging, known"]["status"] == "200" and notes["hanging, known"]["seconds"] < PATIENCE_S + 2
    assert notes["hung no more"] and notes["hung no more, groups"] == ALL


def test_a_directory_that_has_stopped_ends_nobody_whom_sssd_remembers(notes: Notes) -> None:
    assert notes["stopped, known"]["status"] == "200"
    assert notes["stopped, known"]["groups"] == notes["changed"]["groups"]
    # SSSD itself says then that there is nobody of a name that it has not met, and nothing tells that from the truth.
    assert (notes["stopped, unknown"]["status"], notes["stopped, unknown"]["groups"]) == ("403", [])
    assert notes["back"] and notes["back, groups"] == ALL


def test_without_sssd_nobody_is_unknown(notes: Notes) -> None:
    """Its plug-in says that it failed, but where `files` is asked after it, that is lost: "no such account"."""
    assert notes["what glibc says of nobody"] == "Connection refused"
    assert notes["what glibc says of nobody, files last"] == "None"
    answers = [notes["without sssd, heidi"], notes["without sssd, local and new"], *notes["without sssd, files last"]]
    assert [code(answer) for answer in answers] == [("503", True)] * 4


def test_without_sssd_nobody_is_served_with_fewer_groups_than_the_directory_says(notes: Notes) -> None:
    """glibc leaves out the groups of a source that is not there, and tells nobody: of heidi it knows the account and one group."""
    heidi = FIRST_UID + PEOPLE.index("heidi")
    assert notes["what glibc says of heidi"] == [heidi]
    assert notes["without sssd, heidi"]["groups"] == []
    assert notes["sssd again"] == [True, True] and notes["sssd again, groups"] == ALL


def test_who_is_being_served_goes_on_without_sssd_and_keeps_all_groups(notes: Notes) -> None:
    """For as long as an older answer counts (account_directory.STALE_S)."""
    carol, dave, alice = (notes["without sssd"][which::3] for which in range(3))
    assert {answer["status"] for answer in (*carol, *dave, *alice)} <= set(SERVED)
    assert [answer["groups"] for answer in carol] == [notes["changed"]["groups"]] * 4
    assert [answer["groups"] for answer in dave] == [ALL] * 4
