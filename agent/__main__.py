"""`python -m agent` is `imds-agent`."""

import sys

from agent.cli import main

sys.exit(main())
