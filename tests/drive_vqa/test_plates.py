from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.plates import place_plates

WIDTH, HEIGHT = 112, 64
PLATE = (9, 13)


def _overlap(a, b):
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@st.composite
def _boxes(draw):
    boxes = {}
    for number in range(draw(st.integers(1, 10))):
        u0, v0 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
        boxes[number] = (u0, v0, draw(st.integers(u0 + 1, WIDTH)), draw(st.integers(v0 + 1, HEIGHT)))
    return boxes


@settings(max_examples=40, deadline=None)
@given(_boxes())
def test_plates_never_cover_each_other_nor_leave_the_smallest_picture(boxes):
    plates = place_plates(boxes, dict.fromkeys(boxes, PLATE), (WIDTH, HEIGHT))
    assert plates.keys() == boxes.keys()
    for number, plate in plates.items():
        assert 0 <= plate[0] < plate[2] <= WIDTH
        assert 0 <= plate[1] < plate[3] <= HEIGHT
        assert (plate[2] - plate[0], plate[3] - plate[1]) == PLATE
        assert not any(_overlap(plate, other) for name, other in plates.items() if name != number)


def test_a_lone_number_stands_above_its_box():
    assert place_plates({4: (50, 30, 70, 45)}, {4: PLATE}, (WIDTH, HEIGHT)) == {4: (50, 17, 59, 30)}


def test_a_number_leaves_a_neighbour_to_be_seen():
    boxes = {0: (40, 30, 60, 50), 1: (38, 16, 54, 30)}
    plates = place_plates(boxes, dict.fromkeys(boxes, PLATE), (WIDTH, HEIGHT))
    assert not any(_overlap(plates[a], boxes[b]) for a, b in ((0, 1), (1, 0)))


def test_without_room_for_all_numbers_each_still_gets_a_place():
    boxes = dict.fromkeys(range(10), (0, 0, 12, 14))
    plates = place_plates(boxes, dict.fromkeys(boxes, PLATE), (14, 14))
    assert all(plate[0] >= 0 and plate[2] <= 14 and plate[3] <= 14 for plate in plates.values())
