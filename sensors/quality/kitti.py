"""`python -m sensors.quality.kitti`: the 3D tracking metrics of KITTI result files as a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drive_vqa.errors import DriveVqaError
from sensors.quality.kitti_metrics import NEIGHBOUR, KittiScores, evaluate_kitti
from sensors.quality.kitti_tracks import read_kitti_folder, read_kitti_tracks

HEADER = (
    f"{'':12}{'sAMOTA':>8}{'AMOTA':>8}{'AMOTP':>8}{'MOTA':>8}{'MOTP':>8}{'IDS':>6}{'FRAG':>6}{'recall':>8}{'prec.':>8}"
)


def score_folders(results: Path, labels: Path, *, exact: bool = False) -> dict[str, KittiScores]:
    """Scores of each class for result files `NNNN.txt` against the label files of the same names.

    Args:
        results: folder of the tracks of all classes.
        labels: folder of the truth; its files say which sequences count.
        exact: without the original's rounding, see `evaluate_kitti`.

    Raises:
        LogFormatError: a label file has no result file, or a file does not follow the format.
    """
    truth = read_kitti_folder(labels)
    found = {name: read_kitti_tracks(results / f"{name}.txt") for name in truth}
    return {kitti_class: evaluate_kitti(truth, found, kitti_class, exact=exact) for kitti_class in NEIGHBOUR}


def table(scores: Mapping[str, KittiScores]) -> str:
    """Scores as lines of text, fractions in per cent."""
    lines = [HEADER]
    for name, s in scores.items():
        percent = "".join(f"{100 * value:8.2f}" for value in (s.samota, s.amota, s.amotp, s.mota, s.motp))
        lines.append(
            f"{name:12}{percent}{s.id_switches:6d}{s.fragments:6d}{100 * s.recall:8.2f}{100 * s.precision:8.2f}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sensors.quality.kitti", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of NNNN.txt, KITTI tracking result format")
    parser.add_argument("--labels", type=Path, required=True, help="folder of NNNN.txt: label_02 of the benchmark")
    parser.add_argument(
        "--exact", action="store_true", help="without the rounding of the original evaluation, which drops some tracks"
    )
    options = parser.parse_args(arguments)
    try:
        scores = score_folders(options.results, options.labels, exact=options.exact)
    except DriveVqaError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(table(scores) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
