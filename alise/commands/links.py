"""alise links add | list | revoke | suspend | resume: what administrators do to links. Each is audited with the account that ran it."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from alise.commands.opened import Failed, answer, by_command_line, when, with_database
from alise.configuration import Configuration
from alise.storage.accounts import Keeping
from alise.storage.administration import Administration, CannotChange, ListedLink, NewLink
from alise.storage.usernames import policies

T = TypeVar("T")


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    links = commands.add_parser("links", help="which identity has which account")
    links = links.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = links.add_parser("add", parents=[common], help="link an identity for somebody, whom you have checked yourself")
    for name in ("site", "username", "issuer", "subject"):
        add.add_argument(f"--{name}", required=True)
    add.set_defaults(run=_add)
    listed = links.add_parser("list", parents=[common], help="what links there are")
    listed.add_argument("--site")
    listed.add_argument("--username")
    listed.add_argument("--revoked", action="store_true", help="also those that were taken away")
    listed.set_defaults(run=_list)
    for what, words in _CHANGES.items():
        change = links.add_parser(what, parents=[common], help=words)
        change.add_argument("id", type=_number)
        change.set_defaults(run=_change, what=what)


_CHANGES = {
    "revoke": "take a link away; services know within seconds",
    "suspend": "take a link out of use; it stays with its account",
    "resume": "put a suspended link into use again",
}


def _add(configuration: Configuration, parsed: argparse.Namespace) -> int:
    site_issuer = next((each.issuer for each in configuration.sites() if each.name == parsed.site), "")
    new = NewLink(parsed.site, parsed.username, parsed.issuer, parsed.subject)
    number = _changed(configuration, lambda links: links.add(new, site_issuer))
    answer(parsed.json, {"id": number, **new._asdict()}, f"link {number}: {new.subject} at {new.issuer} is {new.username} at {new.site}")
    return 0


def _list(configuration: Configuration, parsed: argparse.Namespace) -> int:
    found = _changed(configuration, lambda links: links.listed(parsed.site, parsed.username, revoked=parsed.revoked))
    answer(parsed.json, [_document(one) for one in found], "\n".join(_line(one) for one in found) or "no links")
    return 0


def _change(configuration: Configuration, parsed: argparse.Namespace) -> int:
    _changed(configuration, lambda links: links.change(parsed.id, parsed.what))
    answer(parsed.json, {"id": parsed.id, "done": parsed.what}, f"link {parsed.id}: {parsed.what} done")
    return 0


def _changed(configuration: Configuration, work: Callable[[Administration], Awaitable[T]]) -> T:
    try:
        return with_database(
            configuration,
            lambda engine, catalogue: work(Administration(Keeping(engine, catalogue, policies(configuration.sites())), by_command_line())),
        )
    except CannotChange as cannot:
        raise Failed(str(cannot)) from cannot


def _document(one: ListedLink) -> dict[str, Any]:
    return {**one._asdict(), "created_at": when(one.created_at), "used_at": when(one.used_at) or None}


def _line(one: ListedLink) -> str:
    return f"{one.id} {one.site} {one.username} {one.status} {one.origin} {when(one.created_at)} {one.subject} {one.issuer}"


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError("the number of a link, as `alise links list` shows it")
    return int(text)
