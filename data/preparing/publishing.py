"""Where a data set is while it is made, and how it is shown at its place: killed at any moment, that loses nothing."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import tensorflow as tf

from data.preparing.plan import Plan, plan_path, read_plan
from data.source.storage import join, scheme_of

_STAGING = "incomplete"
_INFO = "dataset_info.json"


class Place(NamedTuple):
    """Where the data set will be, and where everything is until then.

    Attributes:
      root: the directory of all configs of the data set.
      final: where the data set will be.
    """

    root: str
    final: str

    @property
    def staging(self) -> str:
        """The directory of the plan, and of all that it takes to follow it."""
        return join(self.root, _STAGING)

    @property
    def is_remote(self) -> bool:
        """Whether files cannot be renamed for nothing."""
        return bool(scheme_of(self.final))

    @property
    def records(self) -> str:
        """Where the records are made."""
        return self.final if self.is_remote else join(self.staging, "records")

    def is_taken(self, begun: Plan | None) -> bool:
        """Returns whether something is there that is not what a run with this plan had to leave unfinished."""
        is_ours = self.is_remote and begun is not None and place_of(self.root, begun.identity) == self
        return tf.io.gfile.exists(self.final) and not is_ours

    def clear(self) -> None:
        """Makes an empty place for a new plan; on a local disk a data set that is there stays."""
        if self.is_remote:
            remove(join(self.final, _INFO))  # Without it no program takes what is left of the others for a data set.
            remove(self.final)
        self._remove_staging()
        if not self.is_remote:
            # Before there is a plan: a plan without this directory is one whose records are published.
            tf.io.gfile.makedirs(self.records)

    def publish(self) -> None:
        """Shows the finished data set at its place and removes what it took to make it."""
        if not self.is_remote:
            os.makedirs(os.path.dirname(self.final), exist_ok=True)
            if os.path.exists(self.final):
                remove(self._replaced)
                os.rename(self.final, self._replaced)
            os.rename(self.records, self.final)
        self._remove_staging()

    def settle(self) -> bool:
        """Ends a publication that was killed; returns whether the records of the plan that is here are published."""
        is_whole = tf.io.gfile.exists(join(self.final, _INFO))
        if is_whole and (self.is_remote or not os.path.exists(self.records)):
            self._remove_staging()
            return True
        if not self.is_remote and os.path.exists(self._replaced) and not os.path.exists(self.final):
            os.rename(self._replaced, self.final)
        return False

    @property
    def _replaced(self) -> str:
        return join(self.staging, "replaced")

    def _remove_staging(self) -> None:
        remove(plan_path(self.staging))  # First: with a plan, what is left would be taken for something to go on with.
        remove(self.staging)


class Begun(NamedTuple):
    """What a killed run has left.

    Attributes:
      plan: what it was still about; None without that.
      published: the identity of a plan whose data set it had published; None if it had not.
    """

    plan: Plan | None
    published: dict[str, Any] | None


def place_of(root: str, identity: dict[str, Any]) -> Place:
    """Returns the place of a data set with this identity; see `data.preparing.plan.identity_of`."""
    return Place(root, join(root, f"{identity['config']}/{identity['version']}"))


def settle(root: str) -> Begun:
    """Returns what a killed run has left, of any config; ends what it was publishing, and removes what is of no use."""
    staging = join(root, _STAGING)
    plan = read_plan(staging)
    if plan is None:
        remove(staging)
    elif place_of(root, plan.identity).settle():
        return Begun(None, plan.identity)
    return Begun(plan, None)


def remove(path: str) -> None:
    """Removes a file or a directory with all that is in it, if it is there."""
    if tf.io.gfile.isdir(path):
        tf.io.gfile.rmtree(path)
    elif tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)
