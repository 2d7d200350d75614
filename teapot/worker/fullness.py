"""What exactly is full: the kernel says "no space" or "over quota", an admin wants to know whose quota, and of bytes or of files."""

import os

from teapot.channel.worker_messages import Request
from teapot.kernel import quota
from teapot.space import local
from teapot.worker.area import Area
from teapot.worker.dispatch import Office
from teapot.worker.refusal import Refusal

_OF_BYTES = {quota.USER: "quota_exceeded", quota.GROUP: "group_quota_exceeded"}
_OF_FILES = {quota.USER: "files_quota_exceeded", quota.GROUP: "group_files_quota_exceeded"}


def named(refusal: Refusal, office: Office, request: Request) -> Refusal:
    """The same refusal, as exactly as can be told afterwards."""
    area = office.areas.get(request.target_area or request.area)
    if refusal.problem not in ("no_space", "quota_exceeded") or not isinstance(area, Area):
        return refusal
    try:
        problem = _of_disk(area) if refusal.problem == "no_space" else _of_quota(area, request.length)
    except OSError:
        return refusal
    return Refusal(problem, refusal.detail)


def _of_disk(area: Area) -> str:
    system = os.fstatvfs(area.root)
    return "no_files_left" if system.f_files and not system.f_favail else "no_space"


def _of_quota(area: Area, length: int | None) -> str:
    """A limit of files that is reached; of the limits of bytes that `length` breaks the tightest; else it is the directory's project."""
    limits = local.limits_of(area.root, area.creation.group)
    for kind, _, files in limits:
        if files.left == 0:
            return _OF_FILES[kind]
    broken = [(size.left, kind) for kind, size, _ in limits if size.left is not None and (not length or size.left < length)]
    if broken:
        return _OF_BYTES[min(broken)[1]]
    without = all(limit.allowed is None for _, size, files in limits for limit in (size, files))
    return "project_quota_exceeded" if limits and without else "quota_exceeded"
