"""The one training program under pre-training, classifiers and fine-tuning: from flags to the last checkpoint."""

import pathlib
from collections.abc import Callable, Iterable, Mapping

import tensorflow as tf
from absl import flags

from experiments.running import strategies
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import damage_named
from experiments.running.run_directory import RunDirectory, operative_config
from experiments.running.stop_signal import StopSignal
from experiments.training.augmenting import finisher
from experiments.training.loop import make_controller, train
from experiments.training.progress import Progress, printer

FLAGS = flags.FLAGS


def require_directories(hint: str) -> None:
    """Checks that the flags say where the data and the run are.

    Args:
      hint: Ends the message.

    Raises:
      BadInput: --data_dir or --workdir is missing.
    """
    if not FLAGS.data_dir or not FLAGS.workdir:
        raise BadInput(f"--data_dir and --workdir are needed{hint}")


def strategy_from_flags() -> tf.distribute.Strategy:
    """Sets up TensorFlow for a training run and returns the strategy; call it before anything else touches a device.

    Raises:
      BadInput: The strategy cannot be had here.
    """
    if FLAGS.cpu_replicas > 1:
        strategies.split_cpu(FLAGS.cpu_replicas)
    if FLAGS.strategy != "tpu":  # a TPU's operations are deterministic, and its loop needs TensorFlow's clock
        tf.config.experimental.enable_op_determinism()
    return strategies.create_strategy(FLAGS.strategy, FLAGS["tpu"].value if "tpu" in FLAGS else "")


def resume_from_flag() -> str:
    """Returns the name of the checkpoint that the user wants to resume from; empty for the newest."""
    return FLAGS["resume_from"].value if "resume_from" in FLAGS else ""


class TrainProgram:
    """Trains a run from its newest checkpoint; a subclass supplies the data, the progress and the result.

    Args:
      run: Has `config`, `strategy`, `trainer` and `state`.
      directory: Where this worker writes.
      description: Describes the data sets; equal descriptions mean equal data.
      chief_checkpoints: Where to restore from, if not from `directory`; see `RunCheckpoints`.
    """

    vocabulary: pathlib.Path | None = None
    """File that is copied into the run; `None` for a run without text."""
    model_config: Mapping[str, object] | None = None
    """The constructor's arguments, from which `vatt.load` builds the model; `None` where there is no VATT."""

    def __init__(self, run, directory: RunDirectory, description: dict, chief_checkpoints: pathlib.Path | None = None):
        self.run, self.directory, self.description = run, directory, description
        self.chief_checkpoints = chief_checkpoints
        run.trainer.finish_clips = finisher(run.strategy, run.config.clips)

    def batches(self, start_step: int) -> tf.distribute.DistributedDataset:
        """Returns the training batches from a step on.

        Raises:
          ValueError: The data do not fit the configuration.
        """
        raise NotImplementedError

    def record_files(self) -> Iterable[str]:
        """Returns the record files that may have been read, the one suspected most first."""
        raise NotImplementedError

    def make_progress(self, stop: StopSignal, show: Callable[[str], None]) -> Progress:
        """Returns what looks at every loop of steps."""
        raise NotImplementedError

    def restored(self, progress: Progress) -> None:
        """Looks at the run as its checkpoint has it, before anything of it is written anew.

        Raises:
          RunFailed: Something that belongs to the checkpoint is lost.
        """

    def finish(self) -> str:
        """Finishes the run after the last step; returns the lines to show."""
        raise NotImplementedError

    def train(self, allow_config_change: bool) -> int:
        """Trains to the end or until a signal; returns the exit code.

        Args:
          allow_config_change: Resume whatever run the directory holds.

        Raises:
          BadInput: The directory holds another run or another program trains it, or the data do not fit.
          RunFailed: The run cannot be restored or continued.
        """
        with self.directory.only_writer("training"):
            return self._train(allow_config_change)

    def _train(self, allow_config_change):
        run, directory = self.run, self.directory
        directory.check(operative_config(), self.description, allow_config_change)
        progress = self.make_progress(StopSignal(), printer())
        controller = make_controller(run, progress, self._checkpoints())
        step = int(run.trainer.global_step.numpy())
        if not step:
            directory.require_no_checkpointed_metrics(run.config.checkpoint_every_steps)
        with bad_input():
            run.trainer.train_dataset = self.batches(step)
        self.restored(progress)
        # Nothing has been written so far: a refused start leaves nothing behind.
        directory.start(operative_config(), self.description, self.vocabulary, allow_config_change)
        if self.model_config is not None:
            directory.write_model(self.model_config)
        directory.drop_metrics_after(step)
        progress.announce(step)
        with damage_named(self.record_files):
            result = self.finish() if train(controller, progress) else None
        if result is not None:
            progress.show(result)
        return 0

    def _checkpoints(self):
        config = self.run.config
        return RunCheckpoints(
            self.run.state, self.directory.checkpoints, self.run.trainer.global_step,
            config.checkpoint_every_steps, config.keep_checkpoints, source=self.chief_checkpoints,
            resume_from=resume_from_flag(),
        )  # fmt: skip
