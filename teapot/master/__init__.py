"""The master: root, starts all other processes and hears from nobody but the kernel (signals, exits of its children)."""
