"""What is finished of the rows of an experiment: metrics, paired comparisons and the number of questions learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drive_vqa.errors import StoreError
from drive_vqa.store import read_json_object
from eval.report.inputs import Number, read_metrics

AGAINST = "against_"
"""Folders of comparisons begin so, followed by the name of the base's row."""


@dataclass(frozen=True)
class Entry:
    """A row of an experiment, finished or not.

    Attributes:
        name: of the row.
        part: which tables show it: model, control, growth, resolution, real; others have their commands shown only.
        title: in the tables.
        commands: that make it, as they are printed.
        folders: by seed; under "" of a row without seeds. One that is not there was not made.
    """

    name: str
    part: str
    title: str
    commands: tuple[str, ...]
    folders: Mapping[str, Path]


@dataclass(frozen=True)
class Result:
    """What there is of a row.

    Attributes:
        entry: the row.
        metrics: by seed, then by dotted name.
        differences: by name of the base's row, seed and metric: this row minus the base, paired.
        learned: questions that it was trained on, by seed, where that is told.
    """

    entry: Entry
    metrics: Mapping[str, Mapping[str, Number]]
    differences: Mapping[str, Mapping[str, Mapping[str, Number]]]
    learned: Mapping[str, int]

    def numbers(self, metric: str) -> list[Number]:
        """A metric of every seed that has it over some case."""
        found = (metrics.get(metric) for metrics in self.metrics.values())
        return [number for number in found if number is not None and number.value is not None]


def read_result(entry: Entry) -> Result:
    """Read what is finished.

    Raises:
        StoreError: a file is damaged.
    """
    metrics = {
        seed: read_metrics(folder / "evaluation" / "metrics.json")
        for seed, folder in entry.folders.items()
        if (folder / "evaluation" / "metrics.json").is_file()
    }
    differences: dict[str, dict[str, dict[str, Number]]] = {}
    for seed, folder in entry.folders.items():
        for path in sorted(folder.glob(f"{AGAINST}*/comparison.json")):
            base = path.parent.name.removeprefix(AGAINST)
            differences.setdefault(base, {})[seed] = _differences(path)
    return Result(entry, metrics, differences, _learned(entry))


def _differences(path: Path) -> dict[str, Number]:
    """Of the one run that is compared with its base."""
    try:
        told = read_json_object(path)["runs"][0]["metrics"]
        return {
            one["metric"]: Number(
                one["difference"], one["n"], one["low"], one["high"], one["clusters"], one["cluster_kind"]
            )
            for one in told
        }
    except (KeyError, IndexError, TypeError) as error:
        raise StoreError(f"{path} is no comparison: run `drive-vqa compare` again") from error


def _learned(entry: Entry) -> dict[str, int]:
    records = {seed: folder / "run" / "run.json" for seed, folder in entry.folders.items()}
    told = {seed: read_json_object(path).get("questions") for seed, path in records.items() if path.is_file()}
    return {seed: count for seed, count in told.items() if isinstance(count, int)}
