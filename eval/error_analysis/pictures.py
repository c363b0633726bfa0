"""Pictures: said against true distance, and one target from above beside the last image as the model saw it.

Places are polar in the ego frame of the time that is asked about, and are drawn in one plot without being moved into one frame:
the ego is at the origin at every time. matplotlib is loaded when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from drive_vqa.marks import marked_frame
from drive_vqa.region_forms import RegionForm, style_of
from drive_vqa.store import Store, replacing
from eval.error_analysis.target_answers import TargetAnswers
from eval.localization import BEARING_BAND_DEG, HORIZONS_S, RELATIVE_DISTANCE
from eval.trajectory import positions_m

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

DPI = 90
TRUE_COLOR, RIGHT_COLOR, WRONG_COLOR, BAND_COLOR = "#333333", "#1d8a4b", "#d1343f", "#dfe7f1"
SHOWN_HORIZONS = (0, len(HORIZONS_S) - 1)
MARGIN_M = 3.0
FRAMES_WORDS = "each place in the ego frame of its own time, ego at (0, 0)"


def draw_distances(answers: TargetAnswers, path: Path) -> None:
    """Said against true distance at 0 and 3 s, with the tolerance as a band."""
    figure = _figure(9.0, 4.6)
    for axes, at in zip(figure.subplots(1, 2), SHOWN_HORIZONS, strict=True):
        _distances(axes, answers, at)
    figure.suptitle("Said against true distance; the band is the tolerance of 25 %", fontsize=11)
    _save(figure, path)


def draw_example(store: Store, answers: TargetAnswers, target: int, title: str, path: Path, form: RegionForm) -> None:
    """The last image with its mark, and the true and said places from above.

    Args:
        store: with the group and its images.
        answers: of the model.
        target: which of them.
        title: what it is a case of.
        path: of the PNG.
        form: how the questions named regions; marks are drawn where they were for the model.

    Raises:
        StoreError: the group or its image is missing.
        LogFormatError: the image cannot be read.
    """
    figure = _figure(9.0, 4.2)
    photo, plan = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    question = answers.answered.cases.iloc[answers.located.anchors[target]]
    group = read_group(store, str(question["log_id"]), str(question["group_id"]))
    photo.imshow(last_image(store, group, form))
    photo.set_axis_off()
    photo.set_title(f"Region {question['mark']}, {question['slice_category']}; {question['group_id']}", fontsize=9)
    _from_above(plan, answers, target)
    figure.suptitle(f"Case: {title}", fontsize=11)
    _save(figure, path)


def read_group(store: Store, log_id: str, group_id: str) -> dict[str, Any]:
    """A row of the table `groups`."""
    rows: list[dict[str, Any]] = store.read("groups", log_id).to_pylist()
    return next(row for row in rows if row["group_id"] == group_id)


def last_image(store: Store, group: dict[str, Any], form: RegionForm) -> Image.Image:
    """The present image with its regions as they were drawn for the model."""
    return marked_frame(store, group, len(group["context"]) - 1, style=style_of(form))


def _distances(axes: Axes, answers: TargetAnswers, at: int) -> None:
    success, read = answers.located.success[:, at], answers.located.read[:, at]
    truth_m, said_m = answers.truth_m[:, at], answers.said_m[:, at]
    limit_m = float(np.nanmax([*truth_m, *said_m[read], 1.0])) * 1.03
    ends = np.array([0.0, limit_m])
    axes.fill_between(
        ends, ends * (1 - RELATIVE_DISTANCE), ends * (1 + RELATIVE_DISTANCE), color=BAND_COLOR, linewidth=0
    )
    axes.plot(ends, ends, color=TRUE_COLOR, linewidth=0.8)
    for chosen, color, name in ((success, RIGHT_COLOR, "right"), (read & ~success, WRONG_COLOR, "wrong")):
        axes.scatter(
            truth_m[chosen],
            said_m[chosen],
            s=9,
            color=color,
            alpha=0.6,
            linewidth=0,
            label=f"{name} ({chosen.sum():,})",
        )
    axes.set(xlim=ends, ylim=ends, xlabel="true distance (m)", ylabel="said distance (m)", aspect="equal")
    axes.set_title(f"at {HORIZONS_S[at]} s (n = {read.sum():,}; bearing counts too)", fontsize=10)
    axes.legend(loc="upper left", fontsize=8, frameon=False)


def _from_above(axes: Axes, answers: TargetAnswers, target: int) -> None:
    """Ahead is up and left is left, as the driver looks."""
    truth_m = positions_m(answers.truth_m[target], answers.truth_deg[target])
    said_m = positions_m(answers.said_m[target], answers.said_deg[target])
    _tolerances(axes, answers, target)
    axes.plot(
        truth_m[:, 1], truth_m[:, 0], "o-", color=TRUE_COLOR, markersize=4, linewidth=1, label="true, t = 0 … 3 s"
    )
    axes.plot(said_m[:, 1], said_m[:, 0], "--", color=WRONG_COLOR, linewidth=0.7)
    success = answers.located.success[target]
    for chosen, color, name in ((success, RIGHT_COLOR, "said, right"), (~success, WRONG_COLOR, "said, wrong")):
        axes.scatter(said_m[chosen, 1], said_m[chosen, 0], s=26, color=color, zorder=3, label=name)
    _label_times(axes, truth_m, TRUE_COLOR, (5, 3))
    _label_times(axes, said_m, WRONG_COLOR, (-4, -13))
    axes.plot(0.0, 0.0, "^", color=TRUE_COLOR, markersize=8)
    _frame(axes, np.concatenate([truth_m, said_m]))


def _label_times(axes: Axes, places_m: Float[np.ndarray, "horizons 2"], color: str, offset_pt: tuple[int, int]) -> None:
    """The seconds beside each place; those of places that fall together in one label."""
    together: dict[tuple[float, float], list[str]] = {}
    for (x_m, y_m), horizon_s in zip(places_m.round().tolist(), HORIZONS_S, strict=True):
        if np.isfinite(x_m):
            together.setdefault((x_m, y_m), []).append(f"{horizon_s}")
    for seconds in together.values():
        x_m, y_m = places_m[HORIZONS_S.index(int(seconds[0]))]
        text = ", ".join(seconds)
        axes.annotate(text, (y_m, x_m), xytext=offset_pt, textcoords="offset points", fontsize=8, color=color)


def _tolerances(axes: Axes, answers: TargetAnswers, target: int) -> None:
    """Where an answer is right: the band of distance and bearing around each true place."""
    from matplotlib.patches import Wedge

    for distance_m, bearing_deg in zip(answers.truth_m[target], answers.truth_deg[target], strict=True):
        outer_m, width_m = distance_m * (1 + RELATIVE_DISTANCE), distance_m * 2 * RELATIVE_DISTANCE
        edges_deg = (90.0 - bearing_deg - BEARING_BAND_DEG, 90.0 - bearing_deg + BEARING_BAND_DEG)  # from the y axis
        axes.add_patch(Wedge((0.0, 0.0), outer_m, *edges_deg, width=width_m, color=BAND_COLOR, alpha=0.6, linewidth=0))


def _frame(axes: Axes, places_m: Float[np.ndarray, "n 2"]) -> None:
    """All places and the ego in view; left is left."""
    known = np.concatenate([places_m[np.isfinite(places_m).all(axis=1)], np.zeros((1, 2))])
    low_m, high_m = known.min(axis=0), known.max(axis=0)
    middle_x, middle_y = (low_m + high_m) / 2
    reach = float((high_m - low_m).max()) / 2 + MARGIN_M
    axes.set(xlim=(middle_y + reach, middle_y - reach), ylim=(middle_x - reach, middle_x + reach), aspect="equal")
    axes.set(xlabel="y, to the left (m)", ylabel="x, ahead (m)")
    axes.set_title(FRAMES_WORDS, fontsize=9)
    axes.legend(loc="best", fontsize=8, frameon=False)


def _figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
