"""`python -m alise`: as the command `alise`."""

import sys

from alise.command_line import main

sys.exit(main())
