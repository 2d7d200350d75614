"""Teapot: one HTTPS/WebDAV endpoint over a site's storage; every file is touched as the caller's own Unix account.

Each folder is a trust domain (see docs/request-path.md). A newcomer starts reading at gateway/request_path.py.
"""

__version__ = "0.1.0"
