"""The evaluation of a run: checks what its tasks need before any of them runs, runs them, and keeps what they find."""

from collections.abc import Callable, Sequence

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.result import Found, add_to_result
from experiments.evaluation.settings import Settings
from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.inference.trained_model import open_run
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory


def evaluate(
    directory: RunDirectory,
    data_dir: str,
    dataset: str | None = None,
    tasks: Sequence[str] = tuple(OWN_TASKS),
    batch_size: int = 32,
    **downstream: object,
) -> tuple[dict, list[str]]:
    """Evaluates a run and writes `result.json` and `report/evaluation.npz` into its directory, after each downstream task.

    What earlier evaluations of the same checkpoint have found stays in both, but for what is evaluated again; another
    checkpoint starts from scratch, and so do `OWN_TASKS` on another data set.

    Args:
      directory: The run's.
      data_dir: Where `experiments.prepare_data` has put the data sets.
      dataset: Name of the data set of `OWN_TASKS`; the run's first by default.
      tasks: Names of tasks.
      batch_size: Clips, or windows of clips, per batch.
      **downstream: `frames_per_second`, `epochs`, `finetuned` and `prompts` of `experiments.evaluation.settings.Settings`.

    Returns:
      The content of `result.json`, with `None` for skipped tasks; and sentences that name these and the reasons.

    Raises:
      BadInput: There is no such run, data set or task, or another program evaluates the run; nothing has been evaluated then.
    """
    _check_tasks(tasks)
    _check_downstream(tasks, downstream)
    directory.require_place_for_report()
    run = open_run(str(directory.path))
    settings = Settings(run, data_dir, dataset, batch_size, **downstream)
    opened = open_tasks([name for name in TASKS if name in tasks], settings)
    with directory.only_writer("evaluation"):
        return _run_tasks(directory, run, settings, opened), settings.notes


def _run_tasks(directory, run, settings, opened):
    # Tasks on the run's own data are kept together: what reads a result finds all of them or none.
    if own := {name: evaluate_task() for name, evaluate_task in opened.items() if name in OWN_TASKS}:
        result = add_to_result(directory, run, Found(settings.own_dataset, own, settings.own_data.arrays, {}))
    # The others may take hours each, and are kept one after the other.
    for name, evaluate_task in opened.items():
        if name not in OWN_TASKS:
            result = add_to_result(directory, run, Found(settings.own_dataset, {}, {}, {name: evaluate_task()}))
    return result


def open_tasks(names: Sequence[str], settings: Settings) -> dict[str, Callable[[], dict | None]]:
    """Makes tasks ready, without embedding anything.

    Args:
      names: Some of `TASKS`.
      settings: What all tasks are given.

    Returns:
      What `Task.open` does, by name.

    Raises:
      BadInput: A data set is missing or does not fit the run; the message names all that are.
    """
    ready, problems = {}, []
    for name in names:
        try:
            ready[name] = TASKS[name].open(settings)
        except BadInput as error:
            problems.append(str(error))
    if problems:
        raise BadInput("\n".join(dict.fromkeys(problems)))  # all tasks on the run's own data lack the same one
    return ready


def _check_tasks(tasks):
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise BadInput(f"--tasks should be some of {','.join(TASKS)}. Found {','.join(unknown) or 'none'}.")


def _check_downstream(tasks, options):
    """Refuses what none of the tasks would use: it is either a mistake or belongs to a task that is missing."""
    users = {
        "finetuned": ["kinetics400"],
        "frames_per_second": [task for task in DOWNSTREAM_TASKS if task != "kinetics400"],
    }
    for name, using in users.items():
        if options.get(name) is not None and not set(using) & set(tasks):
            raise BadInput(
                f"--{name} should be used with --tasks that use it: {','.join(using)}. Found {','.join(tasks)}."
            )
