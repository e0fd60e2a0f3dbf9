"""Turns a checkpoint of the published VATT code (google-research/vatt) into a run directory of this toolbox.

Example:
  python -m experiments.import_checkpoint --source=DOWNLOADS/ckpt-500000 --model=ut_medium --vocabulary=howto100m_en.txt
      --workdir=runs/vatt_ut_medium

Afterwards the other programs take runs/vatt_ut_medium like any other run: `embed`, `export`, `evaluate`, `finetune`, and
`vatt.load` in Python. Every variable of the checkpoint and of the model must have a counterpart; import_report.json
lists them. The optimizer's moments are dropped.

--model=ut_medium, bbs, mbs or lbs for the published pre-trained ones. A single tower (vit_base, wat_base, spt_base, ...) is
taken without a class head: the keys of the published fine-tuned heads are unknown and refused as unmatched. For a
model of another shape give the differences: --gin_bindings='VATT.width = 64'.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_string("source", "", "The checkpoint, without its file extension: .../ckpt-500000.")
flags.DEFINE_string(
    "model", "", "The model it is a checkpoint of: ut_medium, bbs, mbs, lbs, vit_base, ...; see vatt.PRESETS."
)
flags.DEFINE_string("workdir", "", "The run directory to create.")
flags.DEFINE_string(
    "vocabulary",
    "",
    "The words of its word vectors, one per line, as published (howto100m_en.txt: <pad> first, <unk> among the first "
    "few). Without it the imported model takes token ids but not sentences.",
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "Where the model differs from the published one, such as 'VATT.layers = 6'."
)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.pretraining.import_program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
