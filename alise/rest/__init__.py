"""The API for services of a site: v1 as ALISE 1 had it, v2, and how a service proves who it is."""
