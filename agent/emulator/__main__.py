"""`python -m agent.emulator`."""

import sys

from agent.emulator.command import main

sys.exit(main())
