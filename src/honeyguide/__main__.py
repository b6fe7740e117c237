"""`python -m honeyguide` is `honeyguide`."""

import sys

from honeyguide.cli.main import main

sys.exit(main())
