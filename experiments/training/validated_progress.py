"""What happens after every loop of steps where a validation split chooses the weights that are kept."""

from collections.abc import Callable

from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import Stopped, StopSignal
from experiments.training.best_weights import BestWeights
from experiments.training.progress import Progress


class ValidatedProgress(Progress):
    """An Orbit train action: `Progress`, and validation at the steps that a subclass names.

    It runs before Orbit saves a checkpoint, so that a checkpoint at such a step knows the validation's outcome.

    Args:
      directory: Where metrics.jsonl is.
      run: The run.
      stop: Whether SIGTERM or Ctrl-C has come.
      show: Prints a line.
      evaluator: A function (split) -> its scores.
      best: Keeps the weights that score highest.
    """

    def __init__(
        self,
        directory: RunDirectory,
        run,
        stop: StopSignal,
        show: Callable[[str], None],
        evaluator: Callable[[str], dict],
        best: BestWeights,
    ):
        super().__init__(directory, run, stop, show)
        self.evaluator, self.best = evaluator, best

    def __call__(self, output: dict) -> None:
        """See `Progress.__call__`."""
        self.report(output)
        step = int(self.run.trainer.global_step.numpy())
        if self.validates(step):
            output.update(self.validate(step))
            self._lap()  # else the next loop's steps would seem slow
        if self.stop.received:
            raise Stopped()

    def resume(self) -> None:
        """Shows what has become of the best weights, once the run is restored; see `BestWeights.resume`."""
        if note := self.best.resume(self.number(int(self.run.trainer.global_step.numpy()))):
            self.show(note)

    def number(self, step: int) -> int | None:
        """Returns what the weights of a step are saved under if they are the best; `None` if they never are, of this program."""
        raise NotImplementedError

    def validates(self, step: int) -> bool:
        """Returns whether a step is one to validate at, of this program."""
        raise NotImplementedError

    def validate(self, step: int) -> dict[str, float]:
        """Scores the model; returns what TensorBoard shows, of this program."""
        raise NotImplementedError
