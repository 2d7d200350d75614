"""What whole-service tests are made of: real accounts, real issuers, a real Teapot, real clients."""
