"""Turns a checkpoint of the published VATT code (google-research/vatt) into a run directory of ours.

Example:
  python -m experiments.import_checkpoint --source=DOWNLOADS/ckpt-500000 --model=ut_medium --vocabulary=howto100m_en.txt
      --workdir=runs/vatt_ut_medium

Afterwards the other programs take runs/vatt_ut_medium like a run of their own: `embed`, `export`, `evaluate`, `finetune`, and
`vatt.load` in Python. Every variable of the checkpoint and of the model must have a counterpart; import_report.json
lists them. The optimizer's moments are left behind.

--model=ut_medium, bbs, mbs or lbs for the published pre-trained ones. A single tower (vit_base, wat_base, spt_base, ...) is
taken without a class head: the keys of the published fine-tuned ones' heads are not known, and refused as unmatched. For
a model of another shape give what differs: --gin_bindings='VATT.width = 64'.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_string("source", "", "The checkpoint, without its ending: .../ckpt-500000.")
flags.DEFINE_string(
    "model", "", "What it is a checkpoint of: ut_medium, bbs, mbs, lbs, vit_base, ...; see vatt.PRESETS."
)
flags.DEFINE_string("workdir", "", "The run directory to make.")
flags.DEFINE_string(
    "vocabulary",
    "",
    "The words that its word vectors are of, one a line, as published (howto100m_en.txt: <pad> first, <unk> among the first "
    "few). Without it the result takes token ids, but no sentences.",
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "Where the model differs from the published one, such as 'VATT.layers = 6'."
)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    from experiments.pretraining.import_program import run  # late: --help need not wait for TensorFlow

    return run()


if __name__ == "__main__":
    command_line.run(main)
