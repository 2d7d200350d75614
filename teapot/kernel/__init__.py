"""What Teapot asks of the Linux kernel beyond the standard library, one danger a file. Holds no state and no policy."""
