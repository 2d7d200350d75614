"""Logins at identity providers: OpenID Connect's code flow, as a client that trusts nothing it has not verified."""
