"""The worker's file layer, on real file systems and as real accounts (numeric ids are all that the kernel asks for)."""
