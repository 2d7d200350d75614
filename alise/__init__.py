"""ALISE: people link their federated identities to their account at a site; services of the site ask who is who."""
