"""Tests that need a kernel of their own: User-Mode Linux, a process that boots in seconds. Run by make test-kernel."""
