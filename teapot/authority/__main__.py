"""python -I -m teapot.authority FD: started by the master."""

import sys

from teapot.authority.main import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
