"""alise keys create | list | rotate | revoke: the keys by which services ask. A key is shown once, when it is made."""

import argparse
from typing import Any

from alise.commands.opened import Failed, answer, by_command_line, when, with_database
from alise.configuration import Configuration
from alise.storage.api_keys import MOST_OF_AN_OWNER, ApiKeys, KeyEntry, NoSuchKey, NoSuchSite, TooManyKeys


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    keys = commands.add_parser("keys", help="keys by which services ask").add_subparsers(dest="action", required=True, metavar="ACTION")
    create = keys.add_parser("create", parents=[common], help="make a key and show it")
    create.add_argument("--site", required=True)
    create.add_argument("--owner", required=True, type=_owner, help="which service it is for, and whom to ask")
    create.add_argument("--days", type=_days, help="how long it counts; default: api.key_lifetime_days")
    create.set_defaults(run=_create)
    listed = keys.add_parser("list", parents=[common], help="what keys there are; never the keys themselves")
    listed.add_argument("--site")
    listed.set_defaults(run=_list)
    rotate = keys.add_parser("rotate", parents=[common], help="make a new key in the place of one")
    rotate.add_argument("id")
    rotate.add_argument("--overlap-days", type=_days_or_none, default=7, help="how long the old one still counts; default: 7")
    rotate.set_defaults(run=_rotate)
    revoke = keys.add_parser("revoke", parents=[common], help="let a key count no more, at once")
    revoke.add_argument("id")
    revoke.set_defaults(run=_revoke)


def _create(configuration: Configuration, parsed: argparse.Namespace) -> int:
    try:
        made = with_database(
            configuration, lambda engine, _: _keys(configuration, engine).create(parsed.site, parsed.owner, by_command_line(), parsed.days)
        )
    except NoSuchSite as none:
        sites = ", ".join(configuration.site_names())
        raise Failed(f"there is no site {parsed.site!r}: there are {sites}") from none
    except TooManyKeys as many:
        raise Failed(f"{parsed.owner!r} has {MOST_OF_AN_OWNER} keys in force: revoke some first") from many
    answer(parsed.json, {"id": made.id, "key": made.key}, f"id   {made.id}\nkey  {made.key}\nIt is not shown again.")
    return 0


def _list(configuration: Configuration, parsed: argparse.Namespace) -> int:
    entries = with_database(configuration, lambda engine, _: _keys(configuration, engine).entries(parsed.site))
    lines = [" ".join(_line(one)) for one in entries]
    answer(parsed.json, [_document(one) for one in entries], "\n".join(lines) or "no keys")
    return 0


def _rotate(configuration: Configuration, parsed: argparse.Namespace) -> int:
    try:
        made = with_database(
            configuration, lambda engine, _: _keys(configuration, engine).rotate(parsed.id, by_command_line(), parsed.overlap_days)
        )
    except NoSuchKey as none:
        raise _no_such_key(parsed.id) from none
    text = f"id   {made.id}\nkey  {made.key}\nThe old one counts for {parsed.overlap_days} more days at most."
    answer(parsed.json, {"id": made.id, "key": made.key}, text)
    return 0


def _revoke(configuration: Configuration, parsed: argparse.Namespace) -> int:
    try:
        with_database(configuration, lambda engine, _: _keys(configuration, engine).revoke(parsed.id, by_command_line()))
    except NoSuchKey as none:
        raise _no_such_key(parsed.id) from none
    answer(parsed.json, {"id": parsed.id, "revoked": True}, f"{parsed.id} counts no more.")
    return 0


def _keys(configuration: Configuration, engine: Any) -> ApiKeys:
    return ApiKeys(engine, configuration.api.key_lifetime_days)


def _no_such_key(key_id: str) -> Failed:
    return Failed(f"there is no key {key_id!r} in force: `alise keys list` shows all")


def _document(one: KeyEntry) -> dict[str, Any]:
    times = {name: when(getattr(one, name)) or None for name in ("created_at", "expires_at", "revoked_at", "used_at")}
    return {**one._asdict(), **times}


def _line(one: KeyEntry) -> tuple[str, ...]:
    state = f"revoked {when(one.revoked_at)}" if one.revoked_at else f"until {when(one.expires_at)}"
    return one.id, one.site, state, f"used {when(one.used_at) or 'never'}", *(("legacy",) if one.legacy else ()), one.owner


def _owner(text: str) -> str:
    if not 0 < len(text) <= 255 or not text.isprintable():
        raise argparse.ArgumentTypeError("one line of 1 to 255 characters that can be shown")
    return text


def _days(text: str) -> int:
    days = _days_or_none(text)
    if days < 1:
        raise argparse.ArgumentTypeError("at least one day")
    return days


def _days_or_none(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 3660:
        raise argparse.ArgumentTypeError("a number of days, at most 3660")
    return int(text)
