"""The parts of WsgiDAV that we use, loaded before a worker's cage is closed: nothing can be imported afterwards.

It would take lxml where it finds it, megabytes of C in every worker, for the XML that expat reads as well; so it does not find it.
"""

import sys
from xml.etree import ElementTree

_lxml = sys.modules.get("lxml")
sys.modules["lxml"] = None  # type: ignore[assignment]
try:
    from wsgidav.dav_error import DAVError
    from wsgidav.dav_provider import DAVNonCollection, DAVProvider
    from wsgidav.lock_man.lock_manager import LockManager
    from wsgidav.request_server import RequestServer
finally:
    del sys.modules["lxml"]
    if _lxml is not None:
        sys.modules["lxml"] = _lxml

ElementTree.register_namespace("D", "DAV:")

__all__ = ("DAVError", "DAVNonCollection", "DAVProvider", "ElementTree", "LockManager", "RequestServer")
