"""2D boxes: from files, from a model, and made from truth."""

import json
import struct
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from drive_vqa.errors import ConfigError, DependencyError, LogFormatError, ModelError
from drive_vqa.schema import table_from_rows
from sensors.detection.camera_file import read_camera_boxes
from sensors.detection.camera_onnx import CameraModel, CameraModelConfig, decode, detect_image, load_model
from sensors.detection.simulated_camera import CameraFaults, camera_boxes_from_truth

BOX = {"log_id": "a", "frame": 3, "camera": "CAM", "u0_px": 1.0, "v0_px": 2, "u1_px": 30.5, "v1_px": 40.0}
BOX |= {"category": "car", "score": 0.7}


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_json_lines_and_parquet_say_the_same(tmp_path):
    records = [BOX, BOX | {"log_id": "b"}, BOX | {"frame": 1, "category": "kart"}]
    table = pa.Table.from_pylist([record | {"v0_px": float(record["v0_px"]), "more": 1} for record in records])
    pq.write_table(table, tmp_path / "boxes.parquet")
    boxes = read_camera_boxes(lines(tmp_path / "boxes.jsonl", *records), "a")
    assert [(box.frame, box.category, box.u1_px) for box in boxes] == [(1, "kart", 30.5), (3, "car", 30.5)]
    assert read_camera_boxes(tmp_path / "boxes.parquet", "a") == boxes


@pytest.mark.parametrize(
    "change",
    [
        {"u0_px": float("nan")}, {"u0_px": 31.0}, {"v1_px": "x"}, {"score": float("inf")}, {"frame": 1.5}, {"frame": -1},
        {"frame": True}, {"camera": 3}, {"category": None}, {"u1_px": 1e9}, {"score": 10**400},
    ],
)  # fmt: skip
def test_a_wrong_record_is_named(tmp_path, change):
    with pytest.raises(LogFormatError, match="record 1"):
        read_camera_boxes(lines(tmp_path / "boxes.jsonl", BOX, BOX | change), "a")


@pytest.mark.parametrize("name", list(BOX))
def test_a_missing_column_is_named(tmp_path, name):
    record = {key: value for key, value in BOX.items() if key != name}
    with pytest.raises(LogFormatError, match=name):
        read_camera_boxes(lines(tmp_path / "boxes.jsonl", record), "a")
    pq.write_table(pa.Table.from_pylist([record]), tmp_path / "boxes.parquet")
    with pytest.raises(LogFormatError, match=name):
        read_camera_boxes(tmp_path / "boxes.parquet", "a")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", b"{\xff"), ("a.jsonl", b"[1]\n"), ("a.parquet", b"PAR1 no"), ("a.csv", b""), (None, b"")],
)
def test_other_files_are_refused(tmp_path, name, content):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LogFormatError):
        read_camera_boxes(tmp_path / (name or "absent.jsonl"), "a")


CONFIG = CameraModelConfig(
    model="m.onnx", width=100, height=50, scores="scores", classes=["car", "", "pedestrian"], min_score=0.3
)


class Session:
    """Answers like an onnxruntime session."""

    def __init__(self, boxes, scores):
        self.outputs = [np.array([boxes], dtype=np.float32), np.array([scores], dtype=np.float32)]

    def run(self, names, inputs):
        self.names, self.inputs = names, inputs
        return self.outputs


def test_boxes_of_a_model_are_pixels_of_the_original_image(tmp_path):
    Image.new("RGB", (800, 200), (255, 0, 0)).save(tmp_path / "i.png")
    boxes = [[10, 10, 30, 40], [11, 10, 30, 40], [50, 0, 120, 25], [60, 5, 70, 9], [1, 1, 1.01, 9]]
    scores = [[0.9, 0, 0], [0.8, 0, 0], [0.1, 0.2, 0.6], [0.2, 0.9, 0.1], [0.9, 0, 0]]
    session = Session(boxes, scores)
    found = detect_image(CameraModel(CONFIG, session), tmp_path / "i.png", 7, "CAM")
    assert [(box.category, round(box.score, 3), box.frame, box.camera) for box in found] == [
        ("car", 0.9, 7, "CAM"),
        ("pedestrian", 0.6, 7, "CAM"),
    ]
    assert (found[0].u0_px, found[0].v0_px, found[0].u1_px, found[0].v1_px) == (80, 40, 240, 160)
    assert found[1].u1_px == 800
    pixels = session.inputs["images"]
    assert (session.names, pixels.shape, pixels.dtype) == (["boxes", "scores"], (1, 3, 50, 100), np.float32)
    assert pixels[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]


def test_one_output_with_boxes_as_columns():
    rows = np.array([[50.0, 25, 20, 10, 0.1, 0.0, 0.8], [20, 20, 10, 10, 0.7, 0, 0]])
    config = CameraModelConfig(**{**CONFIG.__dict__, "scores": "", "box_format": "cxcywh"})
    for output in (rows[None], rows.T[None]):
        shares, scores = decode([output], config)
        np.testing.assert_allclose(shares[0], [0.4, 0.4, 0.6, 0.6])
        np.testing.assert_allclose(scores[1], [0.7, 0, 0])
    with pytest.raises(ModelError, match="classes"):
        decode([rows[:, :6]], config)


def test_a_broken_image_is_named(tmp_path):
    (tmp_path / "i.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(LogFormatError, match=r"i\.png"):
        detect_image(CameraModel(CONFIG, Session([], [])), tmp_path / "i.png", 0, "CAM")


@pytest.mark.parametrize(
    "change", [{"model": ""}, {"classes": [""]}, {"box_format": "xywh"}, {"width": 0}, {"min_score": 2}]
)
def test_model_settings_are_checked(change):
    with pytest.raises(ConfigError):
        CameraModelConfig(**{**CONFIG.__dict__, **change})


def field(number, payload):
    """One field of a protocol buffer: whole numbers as varints, the rest with their length."""

    def varint(value):
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])

    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def tiny_onnx():
    """A model whose boxes are fixed, and whose one score is the mean of the image."""

    def value(name, *shape):
        dims = b"".join(field(1, field(1, size)) for size in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    box = struct.pack("<4f", 2, 1, 6, 3)
    constant = b"".join(field(1, size) for size in (1, 1, 4)) + field(2, 1) + field(8, "fixed") + field(9, box)
    same = field(1, "fixed") + field(2, "boxes") + field(4, "Identity")
    mean = field(1, "images") + field(2, "mean") + field(4, "GlobalAveragePool")
    last = field(1, "mean") + field(2, "least") + field(4, "ReduceMin")
    shape = field(1, 3) + field(2, 7) + field(8, "shape") + field(9, struct.pack("<3q", 1, 1, 1))
    flat = field(1, "least") + field(1, "shape") + field(2, "scores") + field(4, "Reshape")
    nodes = b"".join(field(1, node) for node in (same, mean, last, flat))
    graph = nodes + field(2, "g") + field(5, constant) + field(5, shape)
    graph += field(11, value("images", 1, 3, 4, 8))
    graph += field(12, value("boxes", 1, 1, 4)) + field(12, value("scores", 1, 1, 1))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def write_model(folder, **change):
    (folder / "tiny.onnx").write_bytes(tiny_onnx())
    config = {"model": "tiny.onnx", "width": 8, "height": 4, "scores": "scores", "classes": ["car"]} | change
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    return folder / "tiny.yaml"


def test_a_real_model_runs(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime (an extra) is not installed")
    load_model.cache_clear()
    model = load_model(write_model(tmp_path))
    Image.new("RGB", (80, 40), (204, 153, 255)).save(tmp_path / "i.png")
    (box,) = detect_image(model, tmp_path / "i.png", 0, "CAM")
    assert (box.u0_px, box.v0_px, box.u1_px, box.v1_px) == pytest.approx((20, 10, 60, 30))
    assert box.score == pytest.approx(0.6, abs=0.01)


def test_a_model_without_the_named_output(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime (an extra) is not installed")
    load_model.cache_clear()
    with pytest.raises(ModelError, match="'logits'"):
        load_model(write_model(tmp_path, scores="logits"))
    (tmp_path / "tiny.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be opened"):
        load_model(tmp_path / "tiny.yaml")


def test_without_onnxruntime_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    load_model.cache_clear()
    with pytest.raises(DependencyError, match="pip install onnxruntime"):
        load_model(write_model(tmp_path))


def truth(frames=40):
    seen = {"camera": "CAM", "u0_px": 100.0, "v0_px": 100.0, "u1_px": 200.0, "v1_px": 180.0, "visible_fraction": 1.0}
    hidden = seen | {"u0_px": 400.0, "u1_px": 460.0, "visible_fraction": 0.1}
    tracks = [
        {"log_id": "a", "frame": frame, "track_id": name, "category": "car", "cameras": [box]}
        for frame in range(frames)
        for name, box in (("seen", seen), ("hidden", hidden))
    ]
    images = [
        {"log_id": "a", "frame": frame, "sensor": "CAM", "modality": "camera", "width": 800, "height": 450}
        for frame in range(frames)
    ]
    return table_from_rows("tracks", tracks), table_from_rows("sensor_data", images)


def test_simulated_boxes_have_the_stated_faults(tmp_path):
    faults = CameraFaults(false_alarms=0.0, wrong_class=0.0, lasting=0.0)
    records = camera_boxes_from_truth(*truth(400), seed=1, faults=faults)
    assert 0.5 < len(records) / 400 < 0.95  # the hidden car is never found, the other one mostly
    u0 = np.array([record["u0_px"] for record in records])
    assert abs(u0.mean() - 100.0) < 0.6
    assert u0.std() == pytest.approx(np.hypot(1.5, 0.03 * 100), rel=0.15)
    boxes = read_camera_boxes(lines(tmp_path / "boxes.jsonl", *records), "a")
    assert len(boxes) == len(records)


def test_simulated_boxes_do_not_depend_on_order_but_on_the_seed():
    tracks, images = truth()
    turned = tracks.take(pa.array(list(range(tracks.num_rows))[::-1]))
    first = camera_boxes_from_truth(tracks, images, seed=5)
    assert camera_boxes_from_truth(turned, images, seed=5) == first
    assert camera_boxes_from_truth(tracks, images, seed=6) != first


def test_simulated_false_alarms_lie_in_the_image():
    _, images = truth()
    none = table_from_rows("tracks", [])
    records = camera_boxes_from_truth(none, images, seed=0, faults=CameraFaults(false_alarms=5.0))
    assert len(records) == pytest.approx(200, rel=0.3)
    assert all(0 <= record["u0_px"] < record["u1_px"] <= 800 for record in records)
    with pytest.raises(ConfigError):
        CameraFaults(miss=1.5)
