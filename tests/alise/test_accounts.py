"""Whose account is whose: a user name is never silently given to somebody else, and an identity has one account at a site."""

import pytest
from sqlalchemy.exc import IntegrityError

from alise.storage.administration import CannotChange, NewLink
from alise.storage.browser import Identity
from alise.storage.people import Account, LinkRefused
from tests.alise.conftest import ADA, ISSUER, SITE_ISSUER, Desk


def person(subject: str = "uid-of-alice", issuer: str = SITE_ISSUER) -> Identity:
    return Identity("hpc", issuer, subject, 1.0, "Alice Archer")


async def refused(desk: Desk, who: Identity, username: str, site: str = "hpc") -> str:
    with pytest.raises(LinkRefused) as refusal:
        await desk.alise.service.accounts.log_in(site, who, username)
    return refusal.value.code


NO_NAMES = ["", "root", "nobody", "daemon", "Alice", "1alice", "a b", "a/b", "../x", "a\n", "alice\0", "-a", "ä", "a" * 33]


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_user_name_that_the_policy_does_not_allow_is_refused(desk: Desk, name: str) -> None:
    assert await refused(desk, person(), name) == "bad_username"


async def test_who_logs_in_first_with_the_name_has_what_an_administrator_made(desk: Desk) -> None:
    accounts, links = desk.alise.service.accounts, desk.alise.service.links
    account = await accounts.log_in("hpc", person(), "alice")
    assert [one.subject for one in await links.links_of(account)] == [ADA]
    assert await refused(desk, person("somebody-else"), "alice") == "username_changed"


async def test_a_name_that_is_somebody_elses_is_refused_also_when_that_person_is_gone(desk: Desk) -> None:
    await desk.alise.service.accounts.log_in("hpc", person("uid-of-bob"), "bob")
    await desk.alise.run_sql("UPDATE account SET status = 'suspended' WHERE username = 'bob'")
    assert await refused(desk, person("the-new-bob"), "bob") == "username_changed"


async def test_a_person_who_comes_with_another_name_is_refused_and_keeps_the_old_one(desk: Desk) -> None:
    accounts = desk.alise.service.accounts
    await accounts.log_in("hpc", person("uid-of-bob"), "bob")
    assert await refused(desk, person("uid-of-bob"), "carol") == "username_changed"
    assert await accounts.account_for("hpc", person("uid-of-bob"), "bob") == Account("hpc", SITE_ISSUER, "uid-of-bob", "bob")


async def test_a_suspended_account_neither_logs_in_nor_goes_on(desk: Desk) -> None:
    accounts = desk.alise.service.accounts
    await accounts.log_in("hpc", person(), "alice")
    await desk.alise.run_sql("UPDATE account SET status = 'suspended'")
    assert await refused(desk, person(), "alice") == "suspended"
    with pytest.raises(LinkRefused, match="suspended"):
        await accounts.account_for("hpc", person(), "alice")


async def test_accounts_of_two_sites_have_nothing_to_do_with_each_other(desk: Desk) -> None:
    accounts, links = desk.alise.service.accounts, desk.alise.service.links
    here = await accounts.log_in("hpc", person(), "alice")
    there = await accounts.log_in("lab", person(issuer=f"{SITE_ISSUER}-lab"), "alice")
    await links.link(there, person(issuer=f"{SITE_ISSUER}-lab"), Identity("iam", ISSUER, ADA, 1.0), "r")
    assert len(await links.links_of(here)) == len(await links.links_of(there)) == 1


async def test_the_database_itself_allows_one_account_for_an_identity_at_a_site(desk: Desk) -> None:
    columns = "site_id, account_id, identity_id, status, origin, created_at"
    with pytest.raises(IntegrityError):
        await desk.alise.run_sql(f"INSERT INTO link ({columns}) VALUES (1, 1, 1, 'active', 'web', 0)")
    with pytest.raises(IntegrityError):
        await desk.alise.run_sql(f"INSERT INTO link ({columns}) VALUES (1, 1, 1, 'suspended', 'web', 0)")
    await desk.alise.run_sql(f"INSERT INTO link ({columns}) VALUES (1, 1, 1, 'revoked', 'web', 0)")


async def test_of_two_who_link_one_identity_one_wins_and_both_are_told(desk: Desk) -> None:
    accounts, links = desk.alise.service.accounts, desk.alise.service.links
    bob = await accounts.log_in("hpc", person("uid-of-bob"), "bob")
    with pytest.raises(LinkRefused, match="linked_elsewhere"):
        await links.link(bob, person("uid-of-bob"), Identity("iam", ISSUER, ADA, 1.0, "Ada"), "r")
    alice = await accounts.log_in("hpc", person(), "alice")
    assert [one.action for one in await accounts.events_of(alice)] == ["login", "refused", "linked"]
    assert "bob" not in str([one.detail for one in await accounts.events_of(alice)])
    assert "alice" not in str(await accounts.events_of(bob))


async def test_a_suspended_link_is_given_to_nobody_not_even_to_its_owner(desk: Desk) -> None:
    accounts, links = desk.alise.service.accounts, desk.alise.service.links
    alice = await accounts.log_in("hpc", person(), "alice")
    await desk.administration.change(1, "suspend")
    with pytest.raises(LinkRefused, match="suspended"):
        await links.link(alice, person(), Identity("iam", ISSUER, ADA, 1.0), "r")


async def test_a_suspended_link_is_not_taken_away_by_its_owner_who_could_make_it_anew(desk: Desk) -> None:
    alice = await desk.alise.service.accounts.log_in("hpc", person(), "alice")
    await desk.administration.change(1, "suspend")
    assert not await desk.alise.service.links.unlink(alice, "1", "r")
    assert [one.suspended for one in await desk.alise.service.links.links_of(alice)] == [True]


@pytest.mark.parametrize("link_id", ["2", "0", "-1", "1 OR 1=1", "x", "", "9" * 40, "\u0661"])
async def test_a_link_that_is_none_of_theirs_is_not_taken_away(desk: Desk, link_id: str) -> None:
    bob = await desk.alise.service.accounts.log_in("hpc", person("uid-of-bob"), "bob")
    assert not await desk.alise.service.links.unlink(bob, link_id, "r")
    assert not await desk.alise.service.links.unlink(bob, "1", "r")
    assert await desk.alise.all_links() == [("alice", ADA)]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (NewLink("nowhere", "bob", ISSUER, "x"), "no site 'nowhere': there are hpc, lab"),
        (NewLink("hpc", "bob", "https://unknown.example", "x"), "no issuer of a configured provider"),
        (NewLink("hpc", "root", ISSUER, "x"), "no user name that this site allows"),
        (NewLink("hpc", "bob", ISSUER, ""), "subject"),
        (NewLink("hpc", "bob", ISSUER, "x" * 256), "subject"),
        (NewLink("hpc", "bob", ISSUER, ADA), "linked to alice already, by link 1: revoke that first"),
    ],
)
async def test_what_an_administrator_may_not_link_is_refused_with_the_reason(desk: Desk, new: NewLink, says: str) -> None:
    with pytest.raises(CannotChange, match=says):
        await desk.administration.add(new, SITE_ISSUER)
    assert await desk.alise.all_links() == [("alice", ADA)]
