"""What was done to a media file that its pictures and sound alone do not show."""

from __future__ import annotations

KINDS = (
    "several_tracks",
    "high_dynamic_range",
    "interlaced",
    "held_frames",
    "unmixed_channels",
    "cancelling_channels",
    "unusable_samples",
    "concealed_errors",
    "restarted_clocks",
)
"""The kinds of remarks, as reports call them."""


class Remarks(dict[str, str]):
    """Kind -> what there is to say, once for each kind of `KINDS`."""

    def add(self, kind: str, what: str) -> None:
        """Keeps the first remark of its kind."""
        self.setdefault(kind, what)
