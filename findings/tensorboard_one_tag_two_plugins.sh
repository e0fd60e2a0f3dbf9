#!/usr/bin/env bash
# Surprise: where a scalar and a histogram have one tag in one run, TensorBoard shows the histogram alone (whichever of both was
#   written first). The scalar's points are in the file, yet there is no curve and no message.
# Common guess: the Scalars tab shows all scalars, the Histograms tab all histograms; tags are apart by kind.
# Source: a time series takes its plugin from its first summary. github.com/lanpa/tensorboardX/issues/223 met it as an error.
#   A training loop whose framework writes means as scalars, and which adds histograms of the same quantity, loses the curve.
# Seen: TensorBoard 2.20.0, histogram first: scalars [], histograms ['cosine']; scalar first: scalars ['cosine'], histograms []
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.20.0 setuptools==80.10.2 numpy==2.2.6
"$folder/env/bin/python" -W ignore - "$folder" <<'PY'
import sys

import tensorboard
from tensorboard.backend.event_processing import event_multiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def tags(first, second, place):
    writer = EventFileWriter(place)
    for step in (1, 2, 3):
        for summary in (first, second):
            writer.add_event(Event(step=step, summary=summary))
    writer.close()
    runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(place).Reload()
    found = {"scalars": [], "histograms": []}
    for plugin, names in found.items():
        for run in runs.Runs():
            names.extend(runs.PluginRunToTagToContent(plugin).get(run, {}))
    return found


one, other = histogram_pb("cosine", [0.1, 0.2]), scalar_pb("cosine", 0.15)
hidden, shown = tags(one, other, f"{sys.argv[1]}/a"), tags(other, one, f"{sys.argv[1]}/b")
print(f"TensorBoard {tensorboard.__version__}, histogram first: scalars {hidden['scalars']}, histograms {hidden['histograms']}")
print(f"scalar first: scalars {shown['scalars']}, histograms {shown['histograms']}")
assert hidden == {"scalars": [], "histograms": ["cosine"]} and shown == {"scalars": ["cosine"], "histograms": []}
PY
