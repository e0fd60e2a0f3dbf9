"""The process that holds the training steps of one checkout and takes them when told to.

It is run as a file, with a checkout's root as working directory and on the path, so that all it imports from the project is
that checkout's, also an older one's. Lines of JSON: first what to build, then the name of a step to take, again and again; the
answer to that is its seconds, by the clock and of processor time.
"""

import importlib.util
import json
import sys
import time

# Where a checkout has the configuration and the assembly of a run: now, and before the folders of `experiments`.
_LAYOUTS = (
    ("experiments.pretraining.config", "experiments.pretraining.assembly"),
    ("experiments.config", "experiments.assembly"),
)
PLAIN = "plain"
_VOCABULARY_SIZE = 1000


def _modules():
    for names in _LAYOUTS:
        if all(importlib.util.find_spec(name.rpartition(".")[0]) and importlib.util.find_spec(name) for name in names):
            return [importlib.import_module(name) for name in names]
    raise ImportError("this checkout has no pre-training configuration where one is looked for")


def _forget_installed_checkout() -> None:
    """An editable installation would supply the modules that this checkout does not have."""
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")
    ]


def build_steps(files: list[str], bindings: list[str], ways: dict[str, list[str]]) -> tuple[dict, dict[str, str]]:
    """Builds the plain step and others.

    Args:
      files: gin files of the run.
      bindings: Bindings that override them.
      ways: Names of steps and the further bindings of each.

    Returns:
      The steps, functions without arguments, by name, and why the other ways have none.
    """
    import tensorflow as tf

    config, assembly = _modules()
    plain_step = importlib.import_module("experiments.benchmarks.plain_step").plain_step
    steps, refused = {}, {}
    for way, further in ways.items():
        try:
            settings = config.parse(files, [*bindings, *further])
            run = assembly.build_run(settings, tf.distribute.get_strategy(), _VOCABULARY_SIZE)
        except Exception as error:  # of whichever kind that checkout has; the table says it
            refused[way] = str(error).splitlines()[0]
            continue
        batch = assembly.random_batch(settings.clips, settings.batch_size, _VOCABULARY_SIZE)
        if PLAIN not in steps:
            steps[PLAIN] = _taken(plain_step(run), batch)
        steps[way] = _logged(run.trainer, batch)
    return steps, refused


def _taken(step, batch):
    return lambda: step(batch)


def _logged(trainer, batch):
    import tensorflow as tf

    waited_seconds = tf.constant(0.0)

    def take() -> None:
        trainer.log.clear()
        trainer.train_on_batch(batch, waited_seconds)

    return take


def main() -> None:
    """Answers lines of standard input on standard output."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    _forget_installed_checkout()
    steps, refused = build_steps(**json.loads(sys.stdin.readline()))
    print(json.dumps({"steps": list(steps), "refused": refused}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_seconds(steps[line.strip()])), file=answers, flush=True)


def _seconds(take):
    import tensorflow as tf

    clocks = (time.perf_counter, time.process_time)
    before = [clock() for clock in clocks]
    take()
    tf.test.experimental.sync_devices()
    return [clock() - start for clock, start in zip(clocks, before, strict=True)]
