"""`python -m experiments NAME` runs the program NAME, and so does the path of this file.

Started by its path, it finds the packages next to it whatever the current directory holds, which `-m` looks into first.
"""

import os
import sys

if not __package__:  # started by its path; Python looks for modules in this folder then
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from experiments.running.programs import main  # noqa: E402

sys.exit(main())
