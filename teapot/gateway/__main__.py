"""python -I -m teapot.gateway FD: started by the master."""

import sys

from teapot.gateway.main import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
