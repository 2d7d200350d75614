"""What Teapot and ALISE both use, and nothing that only one of them does."""
