"""Stored checksums as WebDAV properties: StoRM's Checksum, ownCloud's checksums (which rclone compares). Told only when asked for by name.

Nothing is computed for a PROPFIND: what is not stored is not told.
"""

import os

from teapot.worker import checksum
from teapot.worker.area import Area, is_file
from teapot.worker.hashing import Values
from teapot.worker.properties import Kept
from teapot.worker.propfind_request import Property, Wanted
from teapot.worker.refusal import Refusal

STORM = Property("http://storm.italiangrid.org/2014/webdav", "Checksum")
OWNCLOUD = Property("http://owncloud.org/ns", "checksums")
_OWNCLOUD_NAMES = {"md5": "MD5", "adler32": "ADLER32", "sha-256": "SHA256", "crc32c": "CRC32C"}


class ChecksumProperties:
    def __init__(self, area: Area, wanted: Wanted) -> None:
        self._area = area
        self._asked = [one for one in (STORM, OWNCLOUD) if one in (wanted.properties or ())]
        self.of_members = bool(self._asked)

    def added(self, kept: Kept, descriptor: int, status: os.stat_result) -> Kept:
        if not self._asked or not is_file(status):
            return kept
        path = f"/proc/self/fd/{descriptor}"
        values = checksum.stored(path, status, unguarded=self._area.settings.unguarded_checksums == "believe")
        elements = {one: element for one in self._asked if (element := _ELEMENTS[one](values))}
        return kept._replace(properties={**kept.properties, **elements}) if elements else kept

    def added_to_member(self, kept: Kept, path: bytes) -> Kept:
        try:
            with self._area.opened(path, os.O_PATH) as descriptor:
                return self.added(kept, descriptor, os.fstat(descriptor))
        except Refusal:
            return kept


def _storm(values: Values) -> str:
    value = values.get("adler32")
    return f'<S:Checksum xmlns:S="{STORM.namespace}">{value.hex()}</S:Checksum>' if value else ""


def _owncloud(values: Values) -> str:
    listed = " ".join(f"{name}:{values[algorithm].hex()}" for algorithm, name in _OWNCLOUD_NAMES.items() if algorithm in values)
    content = f"<O:checksum>{listed}</O:checksum>"
    return f'<O:checksums xmlns:O="{OWNCLOUD.namespace}">{content}</O:checksums>' if listed else ""


_ELEMENTS = {STORM: _storm, OWNCLOUD: _owncloud}
