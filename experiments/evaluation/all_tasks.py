"""The tasks themselves, by name.

All are imported at once: some bring configurables, and gin takes no more of them once it has read a run's configuration.
"""

import pkgutil

from experiments.evaluation import tasks
from experiments.evaluation.task import Task

TASKS: dict[str, Task] = {
    name: pkgutil.resolve_name(f"{tasks.__name__}.{place}")
    for name, place in (tasks.OWN_TASKS | tasks.DOWNSTREAM_TASKS).items()
}
"""The objects that `experiments.evaluation.tasks` names, in its order."""
