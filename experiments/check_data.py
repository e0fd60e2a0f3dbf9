"""Checks a prepared data set: decodes every record once and reports damaged records and suspicious clips.

Example:
  python -m experiments.check_data --dataset=synthetic --data_dir=data_dir
  python -m experiments.check_data --dataset=ucf101 --data_dir=data_dir --splits=train1,test1 --output=check.json

Damaged are records that are cut off or fail their checksum, that are not clips, have a JPEG that cannot be decoded or an
unknown class, and files that hold fewer records than they should; --drop_damaged rewrites such files without these
records and keeps the old ones as <name>.damaged, later ones as <name>.damaged2. Suspicious are clips without captions, with
captions without a word, without audio, with silent or short audio, with black or frozen video; and clips that occur twice, in
one split or in two, or look and sound alike in two splits.

Exit codes: 0 nothing is damaged (any more), 1 damaged records were found, 2 no such data set, or a file of it cannot be read.
"""

import os
import pathlib
import sys

from absl import flags

from experiments.running.command_line import BadInput, RunFailed, bad_input, loading, run

_DATASET = flags.DEFINE_string("dataset", None, "Name of the data set; name/config/version picks one of several.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the prepared data are.")
_SPLITS = flags.DEFINE_list("splits", [], "Splits to check (default: all).")
_DROP_DAMAGED = flags.DEFINE_bool(
    "drop_damaged", False, "Rewrite the files with damaged records without these records."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the findings to.")
_SHOWN = 3


def main(_: list[str]) -> int:
    """Checks the data set; prints what was found and writes it."""
    if not _DATASET.value or not _DATA_DIR.value:
        raise BadInput("--dataset and --data_dir are needed; see --help for an example.")

    with loading():  # late: --help need not wait for TensorFlow
        from data import drop_damaged, open_dataset, write_json
        from experiments.dataset_checks.check import check, is_findings
        from experiments.running.own_files import require_new_or_own

    if _OUTPUT.value:
        require_new_or_own(pathlib.Path(_OUTPUT.value), "--output", is_findings)
    with bad_input():
        prepared = open_dataset(_DATASET.value, _DATA_DIR.value)
        damages, findings = check(prepared, _SPLITS.value)
    print(_summary(findings))
    try:
        if _DROP_DAMAGED.value:
            findings["dropped"] = drop_damaged(prepared, damages)
            for path, records in findings["dropped"].items():
                print(f"rewritten without {records:,} records: {path}")
        if _OUTPUT.value:
            write_json(_OUTPUT.value, findings, for_people=True)
    except OSError as error:
        raise RunFailed(f"cannot write ({error}); no file is incomplete.") from error
    return 1 if damages and not _DROP_DAMAGED.value else 0


def _summary(findings):
    clips = sum(findings["clips"].values())
    lines = [f"checked: {clips:,} good clips in {findings['files']:,} files of {findings['directory']}"]
    for kind in ("damaged", "suspicious", "duplicates"):
        lines.append(f"{kind}:")
        for name, found in findings[kind].items():
            examples = "; ".join(map(_text, found["examples"][:_SHOWN]))
            more = "; ..." if found["count"] > _SHOWN else ""
            lines.append(f"  {name}: {found['count']:,}" + (f" ({examples}{more})" if examples else ""))
    return "\n".join(lines)


def _text(example):
    if isinstance(example, list):
        return " = ".join(map(_text, example))
    if "reason" in example:
        return f"{os.path.basename(example['shard'])} record {example['record']}: {example['reason']}"
    return f"{example['split']}: {example['clip_id']}"


if __name__ == "__main__":
    # Checking needs no GPU: it must not occupy one, nor say that there is none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.exit(run(main))
