"""python -I -m teapot.spawner FD [FD]: started by the master, or by itself when it is renewed."""

import sys

from teapot.spawner.loop import main

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
