"""python -I -m teapot.master CONFIG FD: a master that executes itself anew (see renewal.py); `teapot serve` starts the first one."""

import sys
from pathlib import Path

from teapot.command_line import read
from teapot.master import serve

if __name__ == "__main__":
    path = Path(sys.argv[1])
    sys.exit(serve.go_on(read(path), path, int(sys.argv[2])))
