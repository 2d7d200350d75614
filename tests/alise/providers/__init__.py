"""Real identity providers for the tests: npm oidc-provider, and one that answers whatever a test wants."""
