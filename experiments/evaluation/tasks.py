"""The paper's six downstream tasks: what each is, and the check of what it needs before any of them begins."""

import functools
from collections.abc import Callable, Sequence

from experiments.evaluation.classification import Classification
from experiments.evaluation.finetuned import KINETICS, Finetuned, find_finetuned
from experiments.evaluation.windows import Settings
from experiments.evaluation.zero_shot_retrieval import Retrieval
from experiments.running.command_line import BadInput

_NO_1K_A = "The split is there if MSRVTT_JSFUSION_test.csv was in the source folder when the set was prepared."
PROTOCOLS = {
    "ucf101": functools.partial(Classification, "video", 3),
    "hmdb51": functools.partial(Classification, "video", 3),
    "esc50": functools.partial(Classification, "audio", 5),
    KINETICS: Finetuned,
    "youcook2": functools.partial(Retrieval, "validation", None, ""),
    "msrvtt": functools.partial(Retrieval, "test_1k_a", "test", _NO_1K_A),
}
"""Makes a task of its name and the settings; the task, called, returns its figures."""


def open_tasks(names: Sequence[str], settings: Settings) -> dict[str, Callable[[], dict] | None]:
    """Makes tasks ready, without embedding anything.

    Args:
      names: Some of `PROTOCOLS`.
      settings: What all tasks are given.

    Returns:
      The tasks; `None` for that of Kinetics-400 if there is no fine-tuning, see `missing_finetuning`.

    Raises:
      BadInput: A data set is missing or does not fit the run; the message names all that are.
    """
    ready, problems = {}, []
    for name in names:
        try:
            left_out = name == KINETICS and find_finetuned(settings) is None
            ready[name] = None if left_out else PROTOCOLS[name](name, settings)
        except BadInput as error:
            problems.append(str(error))
    if problems:
        raise BadInput("\n".join(problems))
    return ready
