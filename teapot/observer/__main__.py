"""python -I -m teapot.observer FD: started by the master."""

import sys

from teapot.observer.main import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
