"""What a run can be evaluated for; apart, so that `--help` need not wait for TensorFlow."""

_TOP = {"T1": "top1", "T5": "top5"}
_RANKS = {"rank": "median_rank", "R@10": "r10"}
OWN_TASKS = ("retrieval", "linear_probe", "alignment")
"""What a run is evaluated for on the data it was trained on."""
DOWNSTREAM_TASKS = {
    "ucf101": ("UCF101", _TOP),
    "hmdb51": ("HMDB51", _TOP),
    "kinetics400": ("K400", _TOP),
    "youcook2": ("YouCook2", _RANKS),
    "msrvtt": ("MSR-VTT", _RANKS),
    "esc50": ("ESC-50", _TOP),
}
"""The paper's downstream tasks in the poster's order: key in `result["tasks"]`, title, the keys of the figures by their titles."""
