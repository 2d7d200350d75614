"""python -I -m teapot.master CONFIG FD: a master that executes itself anew (see renewal.py); `teapot serve` starts the first one."""

import sys
from pathlib import Path

from teapot.master import serve

if __name__ == "__main__":
    sys.exit(serve.go_on_from(Path(sys.argv[1]), int(sys.argv[2])))
