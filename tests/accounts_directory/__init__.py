"""Accounts that come from a real directory: slapd behind SSSD, in a machine of its own."""
