"""A worker: one process for one live account, which it is. It touches that account's files, and never sees a caller's token."""
