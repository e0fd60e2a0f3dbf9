"""Orbit's loop, as every program that trains runs it."""

import orbit

from experiments.running.checkpoints import RunCheckpoints
from experiments.running.stop_signal import Stopped
from experiments.training.progress import Progress, quiet


def make_controller(run, progress: Progress, checkpoints: RunCheckpoints) -> orbit.Controller:
    """Returns Orbit's controller, which restores the newest checkpoint at once.

    Args:
      run: Has `config.steps_per_loop`, `trainer` and `strategy`.
      progress: Looks at every loop and, where Python runs the steps, into it; says where a loop must end.
      checkpoints: Saves the run.
    """
    longest = run.config.steps_per_loop
    run.trainer.before_step = progress.before_step
    with quiet():
        return orbit.Controller(
            global_step=run.trainer.global_step,
            trainer=run.trainer,
            strategy=run.strategy,
            train_actions=[progress],
            steps_per_loop=lambda step: int(min(longest, progress.to_border(step))),
            checkpoint_manager=checkpoints,
            summary_dir=str(progress.directory.path),
        )


def train(controller: orbit.Controller, progress: Progress) -> bool:
    """Trains to the end, or until SIGTERM or Ctrl-C; returns whether it came to the end."""
    progress.stop.answer = progress.say_stopping
    with progress.stop:
        try:
            with quiet(), controller.strategy.scope(), controller.summary_manager.summary_writer().as_default():
                controller.train(progress.steps())
        except Stopped:
            with quiet():
                controller.save_checkpoint()
            step = int(controller.global_step.numpy())
            progress.show(
                f"Stopped by {progress.stop.received} at step {step}; a checkpoint is saved. Run the same command again to resume."
            )
            return False
    return True
