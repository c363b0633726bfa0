from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import ConfigError, LogFormatError
from sensors.mask_filter import MaskLimits, decode_mask, mask_boxes, mask_coverage, match_masks

HEIGHT, WIDTH = 40, 60


def block(u0: int, v0: int, u1: int, v1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[v0:v1, u0:u1] = True
    return mask


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, masks near them, scores."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 25, (rng.integers(0, 6), 2))
    found = np.concatenate([low, low + rng.integers(3, 15, low.shape)], axis=1).astype(np.float64)
    shifts = rng.integers(-2, 3, (rng.integers(0, 6), 4))
    masks = [
        block(*np.maximum(found[rng.integers(len(found))].astype(int) + shift, 0)) for shift in shifts if len(found)
    ]
    return found, np.array(masks, dtype=bool).reshape(-1, HEIGHT, WIDTH), rng.uniform(0.6, 1.0, len(masks))


def test_a_good_mask_is_matched() -> None:
    matches = match_masks(boxes((10, 10, 30, 20)), block(11, 10, 30, 19)[None], np.array([0.9]))
    assert (matches.box.tolist(), matches.mask.tolist()) == ([0], [0])
    assert matches.iou == pytest.approx([19 * 9 / 200])
    assert matches.coverage == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("mask", "score"),
    [
        (block(11, 10, 30, 20), 0.8),  # not sure
        (block(10, 10, 15, 15), 0.9),  # a small part of the object: IoU 0.125
        (block(10, 10, 30, 24), 0.9),  # spills over: 10/14 inside
        (block(0, 0, 0, 0), 0.9),
    ],
)
def test_bad_masks_are_refused(mask: np.ndarray, score: float) -> None:
    assert len(match_masks(boxes((10, 10, 30, 20)), mask[None], np.array([score])).box) == 0


def test_boxes_out_of_view_get_no_mask() -> None:
    none = match_masks(
        boxes((np.nan, np.nan, np.nan, np.nan)), block(0, 0, 5, 5)[None], np.array([1.0]), MaskLimits(0, 0, 0)
    )
    assert len(none.box) == 0


def test_two_boxes_that_want_one_mask_both_get_one() -> None:
    """Greedy by IoU gives the wide mask to the first box and nothing to the second."""
    found = boxes((10, 10, 30, 20), (10, 10, 28, 20))
    masks = np.stack([block(10, 10, 29, 20), block(10, 10, 28, 20)])
    matches = match_masks(found, masks, np.array([0.9, 0.9]))
    assert sorted(matches.box.tolist()) == [0, 1]
    assert sorted(matches.mask.tolist()) == [0, 1]


def test_coverage_counts_pixel_centres() -> None:
    mask = block(10, 10, 20, 20)
    shares = mask_coverage(mask[None], boxes((10, 10, 15, 20), (10, 10, 15.6, 20), (0, 0, 60, 40), (30, 30, 40, 40)))
    np.testing.assert_allclose(shares[0], [0.5, 0.6, 1.0, 0.0])
    assert mask_boxes(mask[None]).tolist() == [[10, 10, 20, 20]]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_matching_is_one_to_one_within_limits_and_the_best(seed: int) -> None:
    found, masks, scores = random_case(seed)
    limits = MaskLimits()
    matches = match_masks(found, masks, scores, limits)
    assert len(set(matches.box.tolist())) == len(set(matches.mask.tolist())) == len(matches.box)
    allowed: dict[tuple[int, int], float] = {}
    for box, mask in itertools.product(range(len(found)), range(len(masks))):
        inside = np.zeros_like(masks[mask])
        u0, v0, u1, v1 = found[box].astype(int)
        inside[v0:v1, u0:u1] = True
        rows, columns = np.nonzero(masks[mask])
        around = np.zeros_like(inside)
        if len(rows):
            around[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        iou = (around & inside).sum() / max((around | inside).sum(), 1)
        coverage = (masks[mask] & inside).sum() / max(masks[mask].sum(), 1)
        if iou > limits.iou and coverage > limits.coverage and scores[mask] > limits.score:
            allowed[box, mask] = iou
    pairs = list(zip(matches.box.tolist(), matches.mask.tolist(), strict=True))
    assert all(pair in allowed for pair in pairs)
    assert (len(pairs), sum(allowed[pair] for pair in pairs)) == pytest.approx(best(allowed), abs=1e-9)


def best(allowed: dict[tuple[int, int], float]) -> tuple[int, float]:
    """Most pairs and greatest IoU, by trying everything."""
    if not allowed:
        return 0, 0.0
    (box, mask), iou = next(iter(allowed.items()))
    without = best({pair: value for pair, value in allowed.items() if pair != (box, mask)})
    rest = best({pair: value for pair, value in allowed.items() if pair[0] != box and pair[1] != mask})
    return max(without, (rest[0] + 1, rest[1] + iou))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_does_not_matter(seed: int) -> None:
    found, masks, scores = random_case(seed)
    plain = match_masks(found, masks, scores)
    turned = match_masks(found[::-1], masks[::-1], scores[::-1])
    assert len(plain.box) == len(turned.box)
    assert plain.iou.sum() == pytest.approx(turned.iou.sum())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_run_lengths_are_read_as_pycocotools_writes_them(seed: int, share: float) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.random.default_rng(seed).uniform(size=(13, 29)) < share
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    np.testing.assert_array_equal(decode_mask(13, 29, text), mask)
    np.testing.assert_array_equal(decode_mask(13, 29, text.decode()), mask)


def test_plain_run_lengths() -> None:
    assert decode_mask(2, 3, [1, 2, 3]).tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize("counts", [[5], [7], [3, -1, 4], [1.5, 4.5], ["a"], "~~~", "o", b"\xff", "0" * 50, [10**30]])
def test_damaged_run_lengths_are_refused(counts: list[int] | str | bytes) -> None:
    with pytest.raises(LogFormatError, match="image 7"):
        decode_mask(2, 3, counts, "image 7")


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(LogFormatError, match="cannot be"):
        decode_mask(10**9, 10**9, [10**18])
    with pytest.raises(ConfigError, match="coverage"):
        MaskLimits(coverage=1.2)


@settings(max_examples=100, deadline=None)
@given(text=st.binary(max_size=40))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(LogFormatError):
        assert decode_mask(4, 4, text).shape == (4, 4)
