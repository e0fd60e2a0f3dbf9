"""What a study shows, in sentences computed from its figures."""

from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.statistics import (
    BETTER,
    EQUAL,
    SAME,
    UNDECIDED,
    WORSE,
    Difference,
    interval,
    paired_difference,
)
from experiments.studies.config import CLEAN
from experiments.studies.results import FIGURES, INTERIM, PRIMARY, Comparison, Results
from experiments.studies.tables import areas, last_areas, noise_title, with_interval

_PRIMARY_NAME = "R@10"
_KINDS = {"text": "texts", "audio": "sounds"}


def findings(results: Results) -> list[str]:
    """Returns the study's conclusions; each holds for the setting of the study alone."""
    parts = (_learned, _noise_hurts, _ceiling, _methods, _ablations, _dropped, _indicators)
    return [sentence for part in parts for sentence in part(results)]


def _learned(results):
    points = list(results.by_seed(results.study.baseline, CLEAN).values())
    if points:
        retrieval = points[0]["retrieval"]["text_to_video"]
        chance = f"chance {100 * retrieval['chance']['r10']:.1f} %, gallery of {retrieval['gallery']} clips"
        found = results.interval(results.study.baseline, CLEAN, PRIMARY)
        yield f"Without noise {results.study.baseline} reaches {_PRIMARY_NAME} {with_interval(found, 1)} % ({chance})."


def _noise_hurts(results):
    study = results.study
    clean = results.values(study.baseline, CLEAN, PRIMARY)
    for noise in results.noisy:
        found = paired_difference(results.values(study.baseline, noise, PRIMARY), clean)
        if found is not None:
            yield f"Noise ({noise_title(noise)}) changes its {_PRIMARY_NAME} by {_points(found)} points."


def _ceiling(results):
    compared = results.oracle_compared(PRIMARY)
    if compared:
        gains = "; ".join(
            f"{_points(each.difference)} points at {noise_title(noise)}{', interim' if each.verdict == INTERIM else ''}"
            for noise, each in compared.items()
        )
        yield f"Without the false narrations and sounds (`oracle`) {results.study.baseline} would gain in {_PRIMARY_NAME}: {gains}."


def _methods(results):
    compared = results.methods_compared(PRIMARY)
    if not compared:
        return
    for verdict, text in (
        (BETTER, "Better than {baseline} in {name}, after the correction: {cases}."),
        (WORSE, "Worse than {baseline} in {name}, after the correction: {cases}."),
        (EQUAL, "Equal to {baseline} in {name} within {margin:g} points: {cases}."),
        (SAME, "The same as {baseline} in every seed, as the method never acted: {cases}."),
    ):
        cases = [_case(*place, found) for place, found in compared.items() if found.verdict == verdict]
        if cases or verdict in (BETTER, WORSE):
            listed = "; ".join(cases) or "no method at any noise"
            names = dict(baseline=results.study.baseline, name=_PRIMARY_NAME, margin=results.study.margin_points)
            yield text.format(cases=listed, **names)
    undecided = sum(found.verdict == UNDECIDED for found in compared.values())
    yield f"Undecided: {undecided} of {len(compared)} comparisons of {_PRIMARY_NAME}."
    interim = sum(found.verdict == INTERIM for found in compared.values())
    if interim:
        yield f"Interim: {interim} of these comparisons lack seeds, and nothing is concluded from them."
    yield f"The correction counts all {results.planned_comparisons} that are planned."
    yield _secondary(results)


def _case(method: str, noise: tuple[float, float], found: Comparison) -> str:
    return f"{method} at {noise_title(noise)} ({_points(found.difference)})"


def _secondary(results):
    found = [
        f"{method} {verdict} in {metric.title.removesuffix(', %')} at {noise_title(noise)} ({_points(each.difference)})"
        for metric in FIGURES
        if metric != PRIMARY
        for (method, noise), each in results.methods_compared(metric).items()
        if (verdict := each.verdict) in (BETTER, WORSE)
    ]
    return (
        f"Other figures, each corrected for its own comparisons only: {'; '.join(found) or 'no difference is shown'}."
    )


def _ablations(results):
    compared = results.ablations_compared(PRIMARY)
    if compared:
        cases = [
            f"{name} {found.verdict} than {results.study.ablation(name).method} ({_points(found.difference)})"
            for name, found in compared.items()
            if found.verdict in (BETTER, WORSE)
        ]
        listed = "; ".join(cases) or f"of none of {len(compared)} a difference to its method is shown"
        interim = sum(found.verdict == INTERIM for found in compared.values())
        listed += f"; {interim} interim" if interim else ""
        yield f"Ablations ({noise_title(tuple(results.study.ablation_noise))}), {_PRIMARY_NAME}: {listed}."


def _dropped(results):
    for method in results.study.two_pass:
        for noise in results.noisy:
            found = [result["dropped"] for result in results.by_seed(method, noise).values()]
            if found:
                told = "; ".join(_share_false(title, [each[name] for each in found]) for name, title in _KINDS.items())
                dropped = f"{_share_dropped(found):.0f} % of the pairs ({noise_title(noise)})"
                yield f"Between its passes {method} drops {dropped}: {told}."


def _share_dropped(found):
    counts = [each[name] for each in found for name in _KINDS]
    return 100 * sum(each["dropped"] for each in counts) / sum(each["pairs"] for each in counts)


def _share_false(title, counts):
    dropped, every = (
        with_interval(interval([100 * each[part] / each[whole] for each in counts]), 1)
        for part, whole in (("dropped_false", "dropped"), ("false", "pairs"))
    )
    return f"of the dropped {title} {dropped} % are false, of all {every} %"


def _indicators(results):
    for method in results.study.watched:
        for noise in results.noisy:
            last = {name: last_areas(areas(results, method, noise, name, "misaligned")) for name in INDICATORS}
            if all(last.values()):
                parts = [f"{title} {with_interval(interval(last[name]), 2)}" for name, title in INDICATORS.items()]
                yield f"AUC of misaligned clips at the end of {method} ({noise_title(noise)}): {'; '.join(parts)}."


def _points(difference: Difference) -> str:
    return with_interval(difference.interval, 1, sign=True)
