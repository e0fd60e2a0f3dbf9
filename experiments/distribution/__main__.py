"""`python -m vatt_harmonization` is the console script `vatt-harmonization`."""

import sys

from vatt_harmonization import main

sys.exit(main())
