"""FileLocality, the property by which WebDAV clients of tape systems ask where a file's content is. Told only when it is asked for by name.

Of members it is told where an attribute says it; a program of the site's would have to be run for each.
"""

import os

from teapot.worker.area import Area, is_file
from teapot.worker.properties import Kept
from teapot.worker.propfind_request import Property, Wanted
from teapot.worker.refusal import Refusal

FILE_LOCALITY = Property("http://srm.lbl.gov/StorageResourceManager", "FileLocality")
_ELEMENT = '<S:FileLocality xmlns:S="http://srm.lbl.gov/StorageResourceManager">%s</S:FileLocality>'


class LocalityProperty:
    def __init__(self, area: Area, wanted: Wanted) -> None:
        self._area = area
        self._residency = area.residency if FILE_LOCALITY in (wanted.properties or ()) else None
        self.of_members = self._residency is not None and self._residency.quick

    def added(self, kept: Kept, descriptor: int, status: os.stat_result) -> Kept:
        """As it is where nobody can tell."""
        if self._residency is None or not is_file(status):
            return kept
        try:
            element = _ELEMENT % self._residency.locality(descriptor, status)
        except Refusal:
            return kept
        return kept._replace(properties={**kept.properties, FILE_LOCALITY: element})

    def added_to_member(self, kept: Kept, path: bytes) -> Kept:
        try:
            with self._area.opened(path, os.O_PATH) as descriptor:
                return self.added(kept, descriptor, os.fstat(descriptor))
        except Refusal:
            return kept
