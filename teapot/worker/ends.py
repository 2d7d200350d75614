"""The two ends of a MOVE or COPY: what each must be, before anything is changed."""

import os
from typing import NamedTuple

from teapot.worker.area import Area, is_collection
from teapot.worker.place import Place, Target
from teapot.worker.refusal import Refusal
from teapot.worker.upload import Terms

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class End(NamedTuple):
    area: Area
    path: bytes


class Manner(NamedTuple):
    """How the target is to be written."""

    overwrite: bool
    terms: Terms
    empty_only: bool = False  # a collection may be the source only without members


def as_seen(end: End, status: os.stat_result) -> os.stat_result:
    """What GET would tell of: conditions are about that. A link that points nowhere is judged as itself."""
    try:
        return end.area.status(end.path)
    except Refusal:
        return status


def inspect_target(end: End, target: Target, source: os.stat_result, manner: Manner) -> os.stat_result | None:
    """What stands at the target (a symbolic link as itself), if it may be overwritten."""
    existing = target.status()
    if existing is None:
        return None
    if not manner.overwrite:
        raise Refusal("exists_no_overwrite")
    if os.path.samestat(existing, source):
        raise Refusal("same_resource")
    if not manner.terms.may_replace:
        raise Refusal("replace_not_in_scope")
    if is_collection(existing) and not may_remove_members(end.area, manner.terms):
        must_be_empty(Place(target.directory, target.name))
    return existing


def may_remove_members(area: Area, terms: Terms) -> bool:
    """Of a collection that is removed; otherwise only an empty one goes."""
    allowed = area.settings.recursive_delete
    return not terms.empty_only and (allowed == "always" or allowed == "token-with-modify" and terms.by_capability)


def must_be_empty(place: Place) -> None:
    directory = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        if os.listdir(directory):
            raise Refusal("collection_not_empty")
    finally:
        os.close(directory)


def refuse_overlap(
    source: os.stat_result, above_source: int, above_target: int, existing: os.stat_result | None, deep: bool = True
) -> None:
    """Neither end may lie in the other. Asked of the directories themselves: symbolic links and overlapping areas change nothing.

    Not `deep`: the source goes without its members, and may go into itself.
    """
    if deep and is_collection(source) and lies_in(above_target, source):
        raise Refusal("same_resource", "the target lies in the source")
    if existing is not None and is_collection(existing) and lies_in(above_source, existing):
        raise Refusal("same_resource", "the source lies in the target")


def lies_in(directory: int, collection: os.stat_result) -> bool:
    """Is the directory, or what holds it, this collection? Upwards, to where ".." leads nowhere else, or where the account may not go."""
    here, before = os.open(".", _STEP, dir_fd=directory), None
    try:
        while True:
            status = os.fstat(here)
            if os.path.samestat(status, collection):
                return True
            if before is not None and os.path.samestat(status, before):
                return False
            above = os.open("..", _STEP, dir_fd=here)
            os.close(here)
            here, before = above, status
    except PermissionError:
        return False
    finally:
        os.close(here)
