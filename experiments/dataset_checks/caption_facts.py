"""What the report of a preparation says of captions, as HTML."""

import html

from experiments.dataset_checks.preparation_notes import read_report
from experiments.reports.html import table

_COUNTS = {
    "videos_without_captions": "files without captions",
    "captions_automatic": "files with captions that a machine has written",
    "captions_in_other_languages": "files with captions in other languages only",
    "caption_encodings_guessed": "caption files whose encoding was guessed",
    "captions_only_marks": "captions of marks alone, dropped",
    "captions_with_marks_removed": "captions that lost marks",
}


def captions_section(directory: str) -> str:
    """Returns a table of files by the language of their captions, the counts and the warnings.

    Args:
      directory: That of the prepared data set. Empty without a report that has these counts: `tfds build` writes none, and
        earlier versions had no such counts.
    """
    report = read_report(directory)
    languages = report.get("caption_languages")
    if not isinstance(languages, dict):
        return ""
    found = report.get("caption_languages_found", {})
    names = sorted({*languages, *found}, key=lambda name: (-languages.get(name, 0), name))
    lines = [(name, f"{languages.get(name, 0):,}", f"{found[name]:,}" if name in found else "-") for name in names]
    warnings = "".join(f"<p><b>{html.escape(warning)}.</b></p>" for warning in report.get("warnings", ()))
    counts = ", ".join(f"{text}: {report[name]:,}" for name, text in _COUNTS.items() if report.get(name))
    shown = table(("language of the captions", "files read", "files that have it"), {"": lines}) if lines else ""
    return warnings + shown + (f'<p class="soft">{html.escape(counts)}.</p>' if counts else "")
