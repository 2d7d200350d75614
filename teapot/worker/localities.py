"""The words that say where a file's content is, as sites and their tape systems write them. Pure."""

import re

from teapot.channel.worker_messages import LOCALITIES
from teapot.worker.refusal import Refusal

# SRM's words, and those of the WLCG tape REST API.
_WORDS = {one: one for one in LOCALITIES} | {"DISK": "ONLINE", "DISK_AND_TAPE": "ONLINE_AND_NEARLINE", "TAPE": "NEARLINE"}
_LUSTRE = re.compile(rb".*: \(0x([0-9a-f]{1,8})\)[a-z_ ]*(?:, archive_id:[0-9]+)?\s*", re.DOTALL)
_RELEASED, _ARCHIVED, _LOST = 0x4, 0x8, 0x40  # flags of lfs hsm_state


def word(said: bytes, who: str) -> str:
    text = said.strip(b" \t\r\n\0").decode("latin-1").upper()
    if text not in _WORDS:
        raise Refusal("residency_unknown", f"{who} says {ascii(text[:60])}")
    return _WORDS[text]


def lustre(said: bytes, who: str) -> str:
    """`/mnt/file: (0x0000000d) released exists archived, archive_id:1`"""
    match = _LUSTRE.fullmatch(said)
    if not match:
        raise Refusal("residency_unknown", f"{who} says {ascii(said[-60:].decode('latin-1'))}")
    flags = int(match[1], 16)
    if flags & _RELEASED:
        return "LOST" if flags & _LOST else "NEARLINE"
    return "ONLINE_AND_NEARLINE" if flags & _ARCHIVED else "ONLINE"
