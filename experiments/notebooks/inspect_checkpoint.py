# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A look into a checkpoint
#
# Opens the directory of a pre-training run and shows what the training did: to the losses and their two gradients, to
# the weights, to the common spaces of video, sound and text, and to single clips.
#
# It runs on the directory that `make demo` leaves, and on that of any other run of `experiments.pretrain`: set `RUN` and
# `DATA` below. The functions are those of `model`, `clips` and `plots` in `experiments.inspection`; import them
# into notebooks of your own.
#
# What is of the source, *Scaling Multimodal Pre-Training via Cross-Modality Gradient Harmonization* (Wu et al., 2022):
# the two losses and their gradients, gradient realignment (GR), the curriculum (CL), and the comparison of VATT's output
# space with and without them. What is ours is said where it appears.

# %% tags=["parameters"]
RUN = "../../runs/demo"  # the directory of a run, or one of its checkpoints: RUN/checkpoints/ckpt-400
RUN_PLAIN = "../../runs/demo_plain"  # the same without harmonization, to stand beside it; left out where there is none
DATA = "../../runs/data"  # the --data_dir of experiments.prepare_data
DATASET = None  # one of the prepared sets; None: the first one that the run was trained on
SPLIT = "test"  # for embeddings and the search by sentences
NOISY_SPLIT = "validation"  # for the most and the least aligned clips; in `synthetic` some are misaligned on purpose
SENTENCES = ("a red ball bounces up and down", "the yellow triangle goes round and round", "a blue cross")

# %%
# %matplotlib inline
import logging
import os

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}  # without the second one, progress bars show

from IPython.display import Image, Markdown, display

import data
import vatt
from experiments.inference.trained_model import open_run
from experiments.inspection import clips as inspection_clips
from experiments.inspection import model as inspection
from experiments.inspection import plots as inspection_plots
from experiments.inspection.model import markdown
from experiments.inspection.plots import clips_figure, jpeg
from experiments.reports.layers import layer_figure
from experiments.running.run_directory import RunDirectory
from experiments.training.history import layer_history

for library in ("absl", "tensorflow"):
    logging.getLogger(library).setLevel(logging.ERROR)  # they warn of deprecated calls of their own

# %% [markdown]
# ## The run

# %%
run = open_run(RUN)
directory = RunDirectory(vatt.run_directory(run.checkpoint))
records = [record for record in directory.read_metrics() if record["step"] <= run.step]
display(Markdown(markdown(inspection.facts(run))))
display(Markdown(inspection.folded("All bindings, config.gin", f"```\n{inspection.config_text(directory.path)}\n```")))

# %% [markdown]
# ## How the training went
#
# Both losses compare a video with what belongs to it among all of a batch: its sound in the *video-audio* space, its text
# in the *video-text* space. Each has a gradient of its own. Where their cosine is negative, a step for one loss undoes the
# other's: they are in *conflict*. GR then projects each gradient onto the plane orthogonal to the other one, which
# in terms of weights means *more* than 1 for both. CL leaves out steps whose cosine lies under a threshold that rises with
# the steps; *kept* is the share that was taken. The schedule of the threshold is ours: the paper gives none.

# %%
display(inspection_plots.training_figure(records))

# %% [markdown]
# ### Layer by layer
#
# The cosine of the two gradients in each layer and step, from the input (top) to the output. Red layers are pulled
# apart, teal ones are pulled the same way; a layer that only one loss reaches has no cosine. The method harmonizes all
# variables together, as the paper does; the cut by layers is ours, to see where the conflict sits.

# %%
history = layer_history(records)
conflicts = inspection.conflicts(records)
if history:
    display(layer_figure(history))
    display(inspection_plots.conflicts_figure(conflicts))
    percent = {"conflict_share": ".0%", "mean_cosine": "+.3f"}
    display(Markdown(markdown(conflicts, percent, summary="The same as numbers")))

# %% [markdown]
# ## The weights

# %%
weights = inspection.layers(run.model)
display(Markdown(markdown(weights, {"share": ".1%", "mean": "+.4f", "std": ".4f", "norm": ".3f"})))
variables = inspection.parameters(run.model)
display(Markdown(markdown(variables, {"mean": "+.4f", "std": ".4f", "norm": ".3f"}, summary="Every variable")))

# %% [markdown]
# For each layer: the middle half of its weights (thick), 98 % of them (thin), and the least, the middle and the greatest
# one (dots). The axis is linear up to ±0.1 and logarithmic beyond. A layer whose dots lie far outside its line has a few
# weights that dominate; the scales of layer norms begin at 1.

# %%
display(inspection_plots.weights_figure(inspection.layer_values(run.model)))

# %% [markdown]
# ### Two checkpoints
#
# How far has a layer moved, measured by its own size? The state at step 0 is drawn anew from the run's seed, of which the
# initial weights are a function. A layer with a short bar is still what it was at random; one whose weights
# began at zero has no bar.

# %%
start = inspection.untrained(run)
others = [(step, path) for step, path in inspection.checkpoints(directory.path).items() if path != run.checkpoint]
models = {
    0: start.model,
    **{step: vatt.load(path) for step, path in others[:1] if step < run.step},
    run.step: run.model,
}
steps = list(models)
moved = {
    f"step {before:,} to {after:,}": inspection.changes(models[before], models[after])
    for before, after in zip(steps, steps[1:], strict=False)
}
display(inspection_plots.changes_figure(moved))
for title, rows in moved.items():
    display(Markdown(markdown(rows, {"cosine": "+.3f"}, summary=title.capitalize())))

# %% [markdown]
# ## The common spaces, before and after
#
# Each clip of the split is embedded by its middle window, and each common space is projected to two dimensions, both
# modalities together. Points of one color are clips of one class, thin lines join the two points of a clip. The
# projection is that of the report: t-SNE (scikit-learn, cosine distance, seed 0); the source does not say which one it
# used. Under each map is its perplexity: 30, or less for fewer than 91 points. t-SNE keeps neighborhoods, not distances:
# look at which points are neighbors, not at how far clusters lie apart.
#
# The poster has such a picture of VATT's output space: plain VATT mixes video and text there, with harmonization they are
# "disentangled". In a short run like the demo's each modality still has a cloud of its own, a gap that contrastive
# training is known for; what one sees is that the classes gather within the clouds.
# `RUN_PLAIN` stands in the middle, if there is one; the demo's is made by the demo's command with
# `--gin_bindings="pretrain.harmonizer = 'sum'"` and another `--workdir`.

# %%
prepared = data.open_dataset(DATASET or run.settings.datasets[0], DATA)
plain = {"plain VATT": open_run(RUN_PLAIN)} if RUN_PLAIN and os.path.isdir(RUN_PLAIN) else {}
states = {"step 0": start, **plain, f"step {run.step:,}": run}
arrays = {title: inspection_clips.embed_split(state, prepared, SPLIT) for title, state in states.items()}
display(Image(jpeg(inspection_plots.embeddings_figure(arrays))))

# %% [markdown]
# The same in the full space. *Own* is the mean cosine of a clip's two embeddings, *others* that of embeddings of different
# clips; only the difference counts. R@k: for how many sounds, or texts, the right video is among the k nearest.

# %%
spaces = [row for title, found in arrays.items() for row in inspection_clips.space_facts(title, found)]
percents = {"own_cosine": "+.3f", "others_cosine": "+.3f", "r1": ".1%", "r10": ".1%"}
display(Markdown(markdown(spaces, percents)))

# %% [markdown]
# ## What a sentence finds
#
# The clips whose videos lie nearest to a sentence in the video-text space: four frames, the outline of the sound, what is
# said. The model has seen none of these clips in training, if `SPLIT` is not `train`; the sentences are free.

# %%
embedded = arrays[f"step {run.step:,}"]
if note := inspection_clips.search_note(run, embedded, SENTENCES):
    display(Markdown(note))
for sentence, found in zip(SENTENCES, inspection_clips.nearest_clips(run, embedded, SENTENCES, count=3), strict=True):
    notes = {row: [f"{place}.  cosine {cosine:+.2f}"] for place, (row, cosine) in enumerate(found.items(), start=1)}
    cards = inspection_clips.read_cards(prepared, SPLIT, notes)
    display(Image(jpeg(clips_figure(list(cards.values()), f"“{sentence}”"))))

# %% [markdown]
# ## The most and the least aligned clips
#
# Which clips does the model think do not fit together? Two scores, both low where a clip is suspected: the sum of its two
# cosine similarities, and the cosine of the gradients of the clip's own two losses with respect to its pooled video
# feature. The paper speaks of the second, for triplets; how it is computed here, clip by clip, is ours. Where the set was
# made with known misalignment, as `synthetic` is, the title says how well the score tells it (area under the ROC
# curve: 1 is perfect, 0.5 chance).

# %%
scored = inspection_clips.score_split(run, prepared, NOISY_SPLIT)
titles = {"summed_similarity": "sum of both similarities", "feature_gradient_cosine": "gradient cosine of the clip"}
display(inspection_plots.scores_figure(scored.scores, scored.misaligned, titles))

# %% [markdown]
# Red: text or sound was swapped with another clip's on purpose. `experiments.rank_clips` writes such a list for a whole set.

# %%
for title, rows in inspection_clips.extremes(scored, "summed_similarity", count=4).items():
    cards = inspection_clips.read_cards(prepared, NOISY_SPLIT, rows)
    display(Image(jpeg(clips_figure(list(cards.values()), title))))
