"""The report's section on clips that training dropped or weighed by a measured table."""

import base64
import html
import io
from collections.abc import Mapping

import numpy as np

import data
from experiments.pretraining import config
from experiments.pretraining.clip_weights import NAMES, WeightedTable, read_tables
from experiments.reports.html import missing, table
from experiments.running.command_line import BadInput
from experiments.running.own_files import content_of, read_json_if_there
from experiments.running.run_directory import RunDirectory

_SHOWN, _HEIGHT_PX = 6, 144


def dropped_clips(directory: RunDirectory, data_dir: str | None) -> str:
    """Returns the counts and, where tables and frames are at hand, the clips of the lowest scores, as HTML.

    Args:
      directory: The run's.
      data_dir: Where the prepared data sets are.

    Returns:
      Empty for a run that counted all clips in full.

    Raises:
      DataError: The data set is not there.
    """
    described = read_json_if_there(directory.data) or {}
    with content_of(directory.data):
        facts = {name: each["clip_weights"] for name, each in described.items() if "clip_weights" in each}
        groups = {name: list(_counts(each)) for name, each in facts.items()}
        hashes = {name: each["sha256"] for name, each in facts.items()}
    if not facts:
        return ""
    return table(("", "clips", "dropped", "mean weight"), groups) + _pictures(directory, hashes, data_dir)


def _counts(facts):
    for name in NAMES.values():
        own = facts.get(name, {})
        if clips := own.get("clips", own and facts["clips"]):  # earlier versions counted all clips
            yield [name, f"{clips:,}", f"{own['dropped']:,}", f"{own['mean_weight']:.3f}"]


def _pictures(directory, hashes, data_dir):
    if not data_dir:
        command = f"python -m experiments.report --workdir={directory.path} --data_dir=DATA"
        return missing("The frames are in the data set; --data_dir was not given", command)
    settings = config.parse_run(directory.config)
    try:
        tables = read_tables(settings.clip_weights, settings.datasets, hashes)
    except BadInput as error:
        return missing(f"The clips are not shown: {str(error).rstrip('.')}")
    return "".join(_worst(name, each, data.open_dataset(name, data_dir)) for name, each in tables.items())


def _worst(name: str, measured: WeightedTable, prepared: data.PreparedDataset) -> str:
    ids = np.array(measured.weights.clip_ids, dtype=object)
    lowest = {
        column: [row for row in np.argsort(scores, kind="stable")[:_SHOWN] if np.isfinite(scores[row])]
        for column, scores in measured.scores.items()
    }
    clips = _read(prepared, {ids[row] for rows in lowest.values() for row in rows})
    return "".join(
        f"<p>{html.escape(name)}: the lowest {html.escape(column.replace('_', ' '))}.</p>"
        f'<div class="card"><div class="frames">'
        + "".join(_figure(clips[ids[row]], measured.scores[column][row]) for row in rows if ids[row] in clips)
        + "</div></div>"
        for column, rows in lowest.items()
    )


def _read(prepared: data.PreparedDataset, wanted: set[str]) -> Mapping[str, data.StoredClip]:
    """Reads the clips of some names, without decoding, until all are found."""
    found: dict[str, data.StoredClip] = {}
    for shard in data.shards_of(prepared, ["train"]):
        for clip in data.read_stored_clips(shard):
            if clip.clip_id in wanted:
                found[clip.clip_id] = clip
        if len(found) == len(wanted):
            break
    return found


def _figure(clip: data.StoredClip, score: float) -> str:
    name, captions = html.escape(clip.clip_id), " / ".join(cue.text.strip() for cue in clip.captions)
    image = f'<img src="data:image/jpeg;base64,{_middle(clip)}" alt="middle frame of {name}">' if clip.jpegs else ""
    return f'<figure class="other">{image}<figcaption>{score:+.2f} {name}: {html.escape(captions[:160])}</figcaption></figure>'


def _middle(clip):
    picture = clip.picture(len(clip.jpegs) // 2).convert("RGB")
    picture.thumbnail((4 * _HEIGHT_PX, _HEIGHT_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
