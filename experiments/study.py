"""The study on planted noise: methods, noises, seeds and ablations on the synthetic set; writes its page and plots.

Examples:
  python -m experiments.study --gin_file=configs/study/full.gin --data_dir=runs/study_data --study_dir=runs/study \\
      --output_dir=docs/study --jobs=2
  python -m experiments.study --gin_file=configs/study/quick.gin --data_dir=runs/study_quick/data --study_dir=runs/study_quick \\
      --output_dir=runs/study_quick/page --jobs=2

Prepares the data sets, times the methods' steps, trains the points of every variant, then writes README.md, plots and
results.csv to --output_dir. Each point is added to results.jsonl there as it finishes. Running the same command again resumes:
finished points are not repeated, and more seeds or noises may have been added. Where the directory of the runs is gone, as on
another machine, it resumes from results.jsonl, next to which settings.json says how the points were made. SIGTERM and Ctrl-C
end it; the page then covers the finished points. A variant that fails is reported and does not stop the others. --page_only
writes the page again and runs nothing.
"""

from absl import flags

from experiments.running import command_line

flags.DEFINE_multi_string(
    "gin_file", [], "gin file that describes the study; may be repeated, later ones override earlier ones."
)
flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'study.seeds = (1, 2)'; overrides the files.")
flags.DEFINE_string("data_dir", "", "Directory of the study's data sets; missing ones are prepared.")
flags.DEFINE_string("study_dir", "", "Directory of the runs; created if missing, resumed if it holds some.")
flags.DEFINE_string(
    "output_dir", "", "Directory of the page and of results.jsonl, which is resumed if it holds points."
)
flags.DEFINE_bool("page_only", False, "Write the page from the points in --output_dir; run nothing.")
flags.DEFINE_integer("jobs", 1, "Variants at a time; they share the cores.", lower_bound=1)


def main(_: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    with command_line.loading():  # late: --help need not wait for TensorFlow
        from experiments.studies.program import run

    return run()


if __name__ == "__main__":
    command_line.run(main)
