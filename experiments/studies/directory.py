"""The files of a study: a directory per variant, with a file per finished point, so that a killed study can resume."""

import json
import os
import pathlib

from experiments.running.own_files import content_of, read_json_object
from experiments.running.run_directory import RunDirectory
from experiments.studies.config import Point, Study
from experiments.studies.stored_point import checked_point


class StudyDirectory:
    """Names, writes and reads the files of one study. Every file appears whole or not at all.

    Args:
      path: The study's directory; made when the first file is written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.cost = self.path / "cost" / "cost.json"

    def variant(self, name: str) -> RunDirectory:
        """Returns where a variant's configuration, environment and points are."""
        return RunDirectory(self.path / name)

    def write_point(self, point: Point, result: dict) -> None:
        """Keeps the result of a point."""
        directory = self.variant(point.variant)
        directory.write(self._place(point), json.dumps(result) + "\n")

    def has_point(self, point: Point) -> bool:
        """Whether a point is finished."""
        return self._place(point).exists()

    def read_points(self, study: Study) -> list[dict]:
        """Returns the results of the finished points, in the study's order."""
        points = [point for variant in study.variants for point in study.points(variant)]
        return [self._read(self._place(point)) for point in points if self.has_point(point)]

    def _read(self, path):
        found = read_json_object(path)
        with content_of(path):
            return checked_point(found)

    def _place(self, point):
        return self.variant(point.variant).path / "points" / f"{point.name}.json"
