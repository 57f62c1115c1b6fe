"""`python -m embodied_mem` is the command `embodied-mem`."""

import sys

from embodied_mem.cli.main import main

sys.exit(main())
