"""Tests of ALISE: logins, pages, attacks."""
