"""The authority: verifies tokens, maps identities, decides which accounts a gateway may reach. Listens to nobody, sees no request."""
