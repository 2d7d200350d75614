"""python -m teapot: the teapot command."""

import sys

from teapot.command_line import main

if __name__ == "__main__":
    sys.exit(main())
