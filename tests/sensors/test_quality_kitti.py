from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely import affinity
from shapely.geometry import box as rectangle

from drive_vqa.errors import ConfigError, LogFormatError
from sensors.quality import clear_mot
from sensors.quality.clear_mot import Pairs, best_match, same_instant, switches_and_fragments
from sensors.quality.kitti import main, score_folders
from sensors.quality.kitti_metrics import evaluate_kitti
from sensors.quality.kitti_tracks import KittiSequence, read_kitti_folder, read_kitti_tracks
from sensors.quality.rotated_iou import intersection_area_m2, upright_iou

Rows = list[tuple[float | str, ...]]


def line(
    frame: int,
    track_id: int,
    x_m: float,
    kind: str = "Car",
    score: float | None = None,
    truncated: int = 0,
    occluded: int = 0,
    z_m: float = 20.0,
    image: tuple[float, float, float, float] = (100, 100, 200, 180),
) -> str:
    """A box 4 m long along the camera's x axis, 2 m wide and high."""
    numbers = [truncated, occluded, 0.0, *image, 2.0, 2.0, 4.0, x_m, 1.5, z_m, 0.0]
    words = [frame, track_id, kind, *numbers] + ([] if score is None else [score])
    return " ".join(str(word) for word in words)


def area(frame: int, image: tuple[float, float, float, float]) -> str:
    """A `DontCare` row."""
    return " ".join(str(w) for w in [frame, -1, "DontCare", -1, -1, -10, *image, *[-1000] * 3, -10, -1, -1, -1])


def sequence(folder: Path, lines: list[str], name: str = "0000") -> dict[str, KittiSequence]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text("".join(text + "\n" for text in lines))
    return {name: read_kitti_tracks(folder / f"{name}.txt")}


def outline(box: np.ndarray) -> object:
    flat = rectangle(-box[3] / 2, -box[4] / 2, box[3] / 2, box[4] / 2)
    return affinity.translate(affinity.rotate(flat, box[6], origin=(0, 0), use_radians=True), box[0], box[1])


class TestIou:
    def test_areas_are_those_of_shapely(self) -> None:
        random = np.random.default_rng(0)
        low, high = [-3, -3, -1, 0.3, 0.3, 0.5, -7], [3, 3, 1, 6, 4, 3, 7]
        a, b = random.uniform(low, high, (2, 400, 7))
        b[:100, 6] = a[:100, 6] + np.repeat([0, np.pi / 2, np.pi, 1e-12], 25)  # parallel sides
        b[:50, :2] = a[:50, :2]
        wanted = [outline(p).intersection(outline(q)).area for p, q in zip(a, b, strict=True)]
        np.testing.assert_allclose(intersection_area_m2(a, b), wanted, atol=1e-9)

    def test_known_volumes(self) -> None:
        a = np.array([[5.0, 2.0, 1.0, 4.0, 2.0, 2.0, 0.7]] * 4)
        b = a.copy()
        b[1, 2] += 1.0  # half as high
        b[2, 2] += 2.0  # on top
        b[3, 3:6] = 1.0  # inside
        np.testing.assert_allclose(upright_iou(a, b), [1.0, 1 / 3, 0.0, 1 / 16], atol=1e-12)

    @given(hnp.arrays(np.float64, (2, 7), elements=st.floats(0.5, 3.0)), st.floats(-6, 6), st.floats(-50, 50))
    def test_order_turns_and_shifts_do_not_matter(self, pair: np.ndarray, turn: float, shift: float) -> None:
        a, b = pair[:1], pair[1:]
        moved = []
        for box in (a, b):
            other = box.copy()
            other[:, 0] = np.cos(turn) * box[:, 0] - np.sin(turn) * box[:, 1] + shift
            other[:, 1] = np.sin(turn) * box[:, 0] + np.cos(turn) * box[:, 1] - shift
            other[:, 6] += turn
            moved.append(other)
        first = upright_iou(a, b)
        assert 0 <= first[0] <= 1 + 1e-12
        np.testing.assert_allclose(upright_iou(b, a), first, atol=1e-9)
        np.testing.assert_allclose(upright_iou(*moved), first, atol=1e-9)


class TestCounting:
    def test_as_many_as_can_be_then_the_nearest(self) -> None:
        pairs = Pairs(np.array([0, 0, 1, 2]), np.array([0, 1, 0, 5]), np.array([0.1, 0.7, 0.5, 0.2]))
        chosen = best_match(pairs, np.array([0, 0, 0, 1]))
        assert sorted(chosen.tolist()) == [1, 2, 3]

    @pytest.mark.parametrize("at_once", [1, 3, 1000])
    def test_pairs_of_one_instant(self, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clear_mot, "PAIRS_AT_ONCE", at_once)
        parts = list(same_instant(np.array([3, 1, 9]), np.array([1, 3, 1, 3])))
        pairs = [pair for a, b in parts for pair in zip(a.tolist(), b.tolist(), strict=True)]
        assert sorted(pairs) == [(0, 1), (0, 3), (1, 0), (1, 2)]

    @given(
        st.lists(st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=1, max_size=9), min_size=1, max_size=4)
    )
    def test_switches_and_fragments_by_hand(self, trajectories: list[list[tuple[int, bool]]]) -> None:
        owner = np.repeat(np.arange(len(trajectories)), [len(t) for t in trajectories])
        tracked_by = np.array([track for t in trajectories for track, _ in t])
        ignored = np.array([flag for t in trajectories for _, flag in t])
        wanted = np.sum([count_one(t) for t in trajectories], axis=0).tolist()
        switch, fragment = switches_and_fragments(owner, tracked_by, ignored)
        assert [int(switch.sum()), int(fragment.sum())] == wanted


def count_one(trajectory: list[tuple[int, bool]]) -> tuple[int, int]:
    """KITTI's rules told as a story, for one trajectory."""
    known, switches, fragments = trajectory[0][0], 0, 0
    for place in range(1, len(trajectory)):
        track, ignored = trajectory[place]
        before = trajectory[place - 1][0]
        at_end = place == len(trajectory) - 1
        if ignored:
            known = -1
            continue
        if track != -1:
            if -1 not in (known, before) and known != track:
                switches += 1
            if before != track and (at_end or (known != -1 and trajectory[place + 1][0] != -1)):
                fragments += 1
            known = track
    return switches, fragments


class TestReading:
    def test_labels_and_results(self, tmp_path: Path) -> None:
        path = tmp_path / "0001.txt"
        path.write_text(line(3, 7, -1.5, "Van", 4.25) + "\n" + area(3, (1, 2, 3, 4)) + " 0\n\n")
        boxes = read_kitti_tracks(path)
        assert boxes.frame.tolist() == [3, 3]
        assert boxes.track_id.tolist() == [7, -1]
        assert boxes.type.tolist() == ["Van", "DontCare"]
        assert boxes.score.tolist() == [4.25, 0.0]
        assert boxes.box2d_px[1].tolist() == [1, 2, 3, 4]
        assert (boxes.h_m[0], boxes.w_m[0], boxes.l_m[0], boxes.x_m[0]) == (2, 2, 4, -1.5)
        path.write_text(line(0, 0, 0.0) + "\n")
        assert np.isnan(read_kitti_tracks(path).score).all()
        path.write_text("")
        assert len(read_kitti_tracks(path)) == 0

    @pytest.mark.parametrize(
        "text",
        [
            "0 0 Car 0\n",
            line(0, 0, float("nan")),
            line(0, 0, float("inf"), score=1.0),
            line(-1, 0, 0.0),
            line(0, 2**40, 0.0),
            line(10**9, 0, 0.0),
            line(0, 0, 0.0).replace(" 4.0 ", " -4.0 "),
            line(0, 0, 0.0) + "\n" + line(1, 0, 0.0, score=1.0),
            line(0, 0, 0.0).replace("20.0", "abc"),
            "\n\n",
            "\x00\x01\x02",
        ],
    )
    def test_broken_files_say_so(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "0000.txt"
        path.write_text(text)
        with pytest.raises(LogFormatError, match="0000.txt"):
            read_kitti_tracks(path)

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_damaged_files_are_read_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        content = bytearray((line(0, 1, 2.0, score=3.0) + "\n" + line(1, 1, 2.5, score=3.0) + "\n").encode())
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
            content[place] = data.draw(st.integers(0, 255))
        path = tmp_path_factory.mktemp("damaged") / "0000.txt"
        path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
        try:
            boxes = {"0000": read_kitti_tracks(path)}
            evaluate_kitti(boxes, boxes, "Car")
        except LogFormatError:
            pass

    def test_a_missing_file_or_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LogFormatError, match="0009"):
            read_kitti_tracks(tmp_path / "0009.txt")
        with pytest.raises(LogFormatError, match="no NNNN"):
            read_kitti_folder(tmp_path)


class TestScores:
    def test_perfect_tracks(self, tmp_path: Path) -> None:
        truth = sequence(tmp_path / "t", [line(f, i, 8.0 * i) for f in range(20) for i in range(4)])
        found = sequence(tmp_path / "r", [line(f, 50 + i, 8.0 * i, score=i + 1.0) for f in range(20) for i in range(4)])
        scores = evaluate_kitti(truth, found, "Car")
        assert (scores.samota, scores.mota, scores.motp) == pytest.approx((1.0, 1.0, 1.0))
        assert (scores.id_switches, scores.fragments, scores.misses, scores.false_positives) == (0, 0, 0, 0)
        assert (scores.true_positives, scores.objects) == (80, 80)

    def test_switch_gap_false_alarm_and_miss(self, tmp_path: Path) -> None:
        truth = [line(f, 0, 0.0) for f in range(10)] + [line(f, 1, 30.0) for f in range(10)]
        ids = [5, 5, 5, 6, 6, 6, None, 6, 6, 6]
        found = [line(f, i, 0.5, score=9.0) for f, i in enumerate(ids) if i is not None]
        found.append(line(4, 99, -60.0, score=9.0))
        scores = evaluate_kitti(sequence(tmp_path / "t", truth), sequence(tmp_path / "r", found), "Car")
        assert (scores.id_switches, scores.fragments) == (1, 2)
        assert (scores.misses, scores.false_positives, scores.true_positives) == (11, 1, 9)
        assert scores.mota == pytest.approx(1 - 13 / 20)
        assert scores.motp == pytest.approx(3.5 / 4.5)
        assert (scores.recall, scores.precision) == pytest.approx((9 / 20, 9 / 10))

    def test_what_neither_counts_nor_harms(self, tmp_path: Path) -> None:
        truth = [line(f, 0, 0.0) for f in range(5)]
        truth += [line(f, 1, 10.0, "Van") for f in range(5)]  # neighbour, missed
        truth += [line(f, 2, 20.0, truncated=1) for f in range(5)] + [line(f, 3, 30.0, occluded=3) for f in range(5)]
        truth += [line(f, 4, 40.0, "Truck") for f in range(5)] + [area(f, (500, 100, 600, 200)) for f in range(5)]
        found = [line(f, 0, 0.0, score=5.0) for f in range(5)]
        found += [line(f, 1, -30.0, score=5.0, image=(520, 110, 590, 190)) for f in range(5)]  # over DontCare
        found += [line(f, 2, -40.0, score=5.0, image=(0, 100, 9, 125)) for f in range(5)]  # 25 px high
        found += [line(f, 3, -50.0, "Van", score=5.0) for f in range(5)]
        truth_boxes = sequence(tmp_path / "t", truth)
        scores = evaluate_kitti(truth_boxes, sequence(tmp_path / "r", found), "Car")
        assert (scores.objects, scores.misses, scores.false_positives, scores.true_positives) == (5, 0, 0, 5)
        found += [line(f, 7, -60.0, score=5.0) for f in range(5)]  # a car in none of these places
        assert evaluate_kitti(truth_boxes, sequence(tmp_path / "r", found), "Car").false_positives == 5

    def test_a_track_counts_with_its_mean_score(self, tmp_path: Path) -> None:
        truth = [line(f, 0, 0.0) for f in range(10)]
        found = [line(f, 0, 0.0, score=float(f)) for f in range(10)]
        found += [line(f, 1, 50.0, score=4.4) for f in range(10)]  # a false alarm less sure than the mean of 4.5
        scores = evaluate_kitti(sequence(tmp_path / "t", truth), sequence(tmp_path / "r", found), "Car")
        assert scores.false_positives == 0
        assert scores.threshold == pytest.approx(4.5)

    def test_rounding_drops_a_track_as_in_the_original(self, tmp_path: Path) -> None:
        """The mean of ten means of 0.3 is less than the mean itself: the track falls below the threshold that it sets."""
        truth = sequence(tmp_path / "t", [line(f, i, 8.0 * i) for f in range(10) for i in range(4)])
        lines = {s: [line(f, i, 8.0 * i, score=s) for f in range(10) for i in range(4)] for s in (0.3, 0.375)}
        rounded = evaluate_kitti(truth, sequence(tmp_path / "r", lines[0.3]), "Car")
        exact = evaluate_kitti(truth, sequence(tmp_path / "r", lines[0.3]), "Car", exact=True)
        binary = evaluate_kitti(truth, sequence(tmp_path / "r", lines[0.375]), "Car")
        assert rounded.samota < exact.samota == binary.samota

    def test_order_of_rows_and_sequences_does_not_matter(self, tmp_path: Path) -> None:
        random = np.random.default_rng(3)
        truth = [line(f, i, 6.0 * i) for f in range(12) for i in range(5)]
        found = [
            line(f, i + 10 * (f > 5) * (i == 1), 6.0 * i + random.normal(0, 0.7), score=float(random.uniform(0, 5)))
            for f in range(12)
            for i in range(6)
        ]
        first = evaluate_kitti(sequence(tmp_path / "t", truth), sequence(tmp_path / "r", found), "Car")
        mixed = [found[i] for i in random.permutation(len(found))], [truth[i] for i in random.permutation(len(truth))]
        second = evaluate_kitti(sequence(tmp_path / "t", mixed[1]), sequence(tmp_path / "r", mixed[0]), "Car")
        assert first == second
        assert first.id_switches == 1

    def test_no_results_and_no_objects(self, tmp_path: Path) -> None:
        truth = sequence(tmp_path / "t", [line(f, 0, 0.0) for f in range(3)])
        nothing = sequence(tmp_path / "r", [])
        scores = evaluate_kitti(truth, nothing, "Car")
        assert (scores.samota, scores.mota, scores.misses, scores.recall) == (0.0, 0.0, 3, 0.0)
        assert np.isnan(evaluate_kitti(truth, nothing, "Cyclist").mota)

    def test_wrong_use(self, tmp_path: Path) -> None:
        truth = sequence(tmp_path / "t", [line(0, 0, 0.0)])
        with pytest.raises(ConfigError, match="Tram"):
            evaluate_kitti(truth, truth, "Tram")
        with pytest.raises(LogFormatError, match="no results"):
            evaluate_kitti(truth, {}, "Car")
        with pytest.raises(LogFormatError, match="twice in frame 4"):
            twice = sequence(tmp_path / "r", [line(4, 8, 0.0, score=1.0), line(4, 8, 9.0, score=1.0)])
            evaluate_kitti(truth, twice, "Car")

    def test_the_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sequence(tmp_path / "t", [line(f, 0, 0.0) for f in range(80)])
        sequence(tmp_path / "r", [line(f, 0, 0.0, score=1.0) for f in range(80)])
        assert main(["--results", str(tmp_path / "r"), "--labels", str(tmp_path / "t")]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[0].split()[:5] == ["sAMOTA", "AMOTA", "AMOTP", "MOTA", "MOTP"]
        assert printed[1].split()[:2] == ["Car", "100.00"]
        assert score_folders(tmp_path / "r", tmp_path / "t")["Car"].mota == 1.0
        assert main(["--results", str(tmp_path / "none"), "--labels", str(tmp_path / "t")]) == 2
        assert "none" in capsys.readouterr().err
