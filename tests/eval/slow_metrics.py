"""The metrics once more, one question at a time, written from their definitions and sharing nothing with `eval`.

Every function takes rows: dicts with the columns of a case, what was answered under `said_…`, `answered` and `failure`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import median


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def wrap(angle_deg):
    while angle_deg > 180:
        angle_deg -= 360
    while angle_deg <= -180:
        angle_deg += 360
    return angle_deg


def distance_right(truth, said):
    return is_number(said) and abs(said - truth) <= (0.1 if truth < 0.4 else 0.25 * truth) + 1e-9


def bearing_right(truth, said):
    return is_number(said) and abs(wrap(said - truth)) <= 10 + 1e-9


def speed_right(truth, said):
    return is_number(said) and abs(said - truth) <= (0.1 if truth < 0.5 else 0.2 * truth) + 1e-9


def located(row):
    return distance_right(row["truth_distance_m"], row["said_distance_m"]) and bearing_right(
        row["truth_bearing_deg"], row["said_bearing_deg"]
    )


def is_read(row):
    return row["answered"] and row["failure"] is None


def mean(values):
    values = [float(value) for value in values]
    return (sum(values) / len(values) if values else None), len(values)


def targets_of(rows):
    """Group and mark → horizon → row."""
    found = defaultdict(dict)
    for row in rows:
        if row["family"] == "future" and row["answer_type"] == "localization":
            found[row["group_id"], row["mark"]][int(row["horizon_s"])] = row
    return list(found.values())


def section_1(targets):
    """LSR, MLSR, TLC and SR of localization, by target."""
    cells = [[t in one and located(one[t]) for t in range(4)] for one in targets]
    read = [(right, t) for one in targets for t, right in enumerate(_right(one)) if t in one and is_read(one[t])]
    asked = [right for one in targets for t, right in enumerate(_right(one)) if t in one]
    metrics = {f"lsr.t{t}": mean(row[t] for row in cells) for t in range(4)}
    metrics |= {f"lsr.t{t}_parsed_only": mean(right for right, at in read if at == t) for t in range(4)}
    metrics |= {"mlsr": mean(right for row in cells for right in row), "tlc": mean(all(row) for row in cells)}
    metrics |= {f"tlc.k{k}": mean(all(row[: k + 1]) for row in cells) for k in (1, 2)}
    metrics["coverage"] = mean(t in one and one[t]["answered"] for one in targets for t in range(4))
    metrics |= {"mlsr_parsed_only": mean(right for right, _ in read), "mlsr_asked_only": mean(asked)}
    metrics["tlc_asked_only"] = mean(all(_right(one)) for one in targets if len(one) == 4)
    whole = [one for one in targets if len(one) == 4 and all(is_read(row) for row in one.values())]
    metrics["tlc_parsed_only"] = mean(all(_right(one)) for one in whole)
    for part, field, right in (("distance", "distance_m", distance_right), ("bearing", "bearing_deg", bearing_right)):
        ok = [
            t in one and right(one[t][f"truth_{field}"], one[t][f"said_{field}"]) for one in targets for t in range(4)
        ]
        told = [one[t] for one in targets for t in one if is_read(one[t])]
        metrics[f"sr_{part}"] = mean(ok)
        metrics[f"sr_{part}_parsed_only"] = mean(right(row[f"truth_{field}"], row[f"said_{field}"]) for row in told)
    return metrics


def _right(target):
    return [t in target and located(target[t]) for t in range(4)]


def speeds(rows):
    metrics = {}
    for who in ("ego", "target"):
        own = [row for row in rows if row["type"].startswith(f"{who}_speed_t")]
        right = [speed_right(row["truth_speed_mps"], row["said_speed_mps"]) for row in own]
        metrics[f"speed.sr.{who}"] = mean(right)
        metrics[f"speed.sr.{who}_parsed_only"] = mean(ok for row, ok in zip(own, right, strict=True) if is_read(row))
        for t in range(4):
            metrics[f"speed.sr.{who}.t{t}"] = mean(
                ok for row, ok in zip(own, right, strict=True) if row["horizon_s"] == t
            )
    return metrics


def type_errors(rows):
    """Clock answers, and medians of errors of lengths, speeds and angles."""
    metrics = {}
    clock = [row for row in rows if row["type"] == "clock"]
    near = [_hours_apart(row["truth_clock_hour"], row["said_clock_hour"]) <= 1 for row in clock]
    exact = [_hours_apart(row["truth_clock_hour"], row["said_clock_hour"]) == 0 for row in clock]
    metrics |= {"type.clock.accuracy": mean(exact), "type.clock.accuracy_within_one_hour": mean(near)}
    for kind, field, noun in (
        ("localization_t2", "distance_m", "distance"),
        ("width", "distance_m", "distance"),
        ("target_speed_t1", "speed_mps", "speed"),
    ):
        own = [(row[f"truth_{field}"], row[f"said_{field}"]) for row in rows if row["type"] == kind]
        errors = [(said - truth) / truth for truth, said in own if is_number(said) and truth >= 0.5]
        metrics[f"type.{kind}.median_abs_relative_error_{noun}"] = median(map(abs, errors)), len(errors)
        metrics[f"type.{kind}.median_signed_relative_error_{noun}"] = median(errors), len(errors)
    for kind, field in (("bearing", "bearing_deg"), ("heading", "yaw_deg"), ("localization_t3", "bearing_deg")):
        own = [(row[f"truth_{field}"], row[f"said_{field}"]) for row in rows if row["type"] == kind]
        errors = [wrap(said - truth) for truth, said in own if is_number(said)]
        metrics[f"type.{kind}.median_abs_error_deg"] = median(map(abs, errors)), len(errors)
        metrics[f"type.{kind}.median_signed_error_deg"] = median(errors), len(errors)
    return metrics


def _hours_apart(truth, said):
    if not is_number(said):
        return 99
    apart = abs(truth - said)
    return min(apart, 12 - apart)


def place(row, side):
    distance, bearing = row[f"{side}_distance_m"], row[f"{side}_bearing_deg"]
    if not (is_number(distance) and is_number(bearing)):
        return None
    return distance * math.cos(math.radians(bearing)), distance * math.sin(math.radians(bearing))


def section_3(targets):
    """Errors in metres over 1, 2, 3 s."""
    whole = [one for one in targets if {1, 2, 3} <= set(one)]
    metrics = {"ade_m": [], "fde_m": [], "longitudinal_error_m": [], "lateral_error_m": [], "miss_rate_2m": []}
    for one in whole:
        pairs = [(place(one[t], "truth"), place(one[t], "said")) for t in (1, 2, 3)]
        apart = [math.dist(*pair) if pair[1] is not None else None for pair in pairs]
        metrics["miss_rate_2m"].append(any(error is None or error > 2 for error in apart))
        if None not in apart:
            metrics["fde_m"].append(apart[-1])
            metrics["ade_m"].append(sum(apart) / 3)
            metrics["longitudinal_error_m"].append(sum(abs(said[0] - truth[0]) for truth, said in pairs) / 3)
            metrics["lateral_error_m"].append(sum(abs(said[1] - truth[1]) for truth, said in pairs) / 3)
    return {f"prediction.{name}": mean(values) for name, values in metrics.items()}


def section_4(rows, targets):
    """Far and cautious, slow and missed, swapped and flipped, made up, unread."""
    metrics = {f"safety.{name}": mean(values) for name, values in _of_distances(rows).items()}
    slow, missed, swaps = [], [], []
    for one in targets:
        for t in range(3):
            if t in one and t + 1 in one:
                closing = one[t]["truth_distance_m"] - one[t + 1]["truth_distance_m"]
                said = [one[at]["said_distance_m"] for at in (t, t + 1)]
                if closing >= 0.5 and all(map(is_number, said)):
                    slow.append(said[0] - said[1] < 0.8 * closing - 1e-9)
                    missed.append(said[0] - said[1] < 0)
        for row in one.values():
            if place(row, "said") is not None:
                swaps.append(_in_corridor(place(row, "truth")) != _in_corridor(place(row, "said")))
    metrics["safety.dangerous_slow_closing_rate"] = mean(slow)
    metrics["safety.missed_approach_rate"] = mean(missed)
    metrics["safety.corridor_swap_rate"] = mean(swaps)
    flips = [row for row in rows if _from_ego(row) and is_number(row["truth_bearing_deg"])]
    flips = [(row["truth_bearing_deg"], row["said_bearing_deg"]) for row in flips if is_number(row["said_bearing_deg"])]
    metrics["safety.left_right_flip_rate"] = mean(
        math.sin(math.radians(truth)) * math.sin(math.radians(said)) < 0
        for truth, said in flips
        if 10 < abs(truth) < 170
    )
    stated = [row for row in rows if row["truth_choice"] == "closing" and isinstance(row["said_choice"], str)]
    metrics["safety.missed_approach_rate.stated"] = mean(row["said_choice"] == "receding" for row in stated)
    absent = [row for row in rows if row["answer_type"] == "undetermined" and is_read(row)]
    metrics["safety.hallucination_rate"] = mean(row["said_undetermined"] is not True for row in absent)
    given = [row for row in rows if row["answered"]]
    metrics["parse.failure_rate"] = mean(row["failure"] is not None for row in given)
    for reason in ("refusal", "missing_unit", "several_values", "empty", "contradiction"):
        metrics[f"parse.failure_rate.{reason}"] = mean(row["failure"] == reason for row in given)
    return metrics


def _of_distances(rows):
    metrics = defaultdict(list)
    for row in rows:
        truth, said = row["truth_distance_m"], row["said_distance_m"]
        if _from_ego(row) and is_number(truth) and is_number(said):
            band = 0.1 if truth < 0.4 else 0.25 * truth
            metres = next((high for high in (10, 20, 40, 80) if truth < high), None)
            bins = {10: "0_10", 20: "10_20", 40: "20_40", 80: "40_80", None: "80_up"}[metres]
            for name, happened in (
                ("dangerous_far_rate", said > truth + band + 1e-9),
                ("over_cautious_rate", said < truth - band - 1e-9),
            ):
                for part in ("", f".class.{row['slice_category']}", f".range.{bins}"):
                    metrics[name + part].append(happened)
    return metrics


def _from_ego(row):
    kinds = ("localization", "distance", "bearing")
    return row["family"] in ("ego", "future") and row["answer_type"] in kinds and row["mark_count"] == 1


def _in_corridor(xy):
    return abs(xy[1]) <= 1.8 and 0 < xy[0] <= 60


def ttc_range_rate(target):
    """Bin of d / c; None where it is not known."""
    if not {0, 1} <= set(target):
        return None
    now, then = (target[t]["truth_distance_m"] for t in (0, 1))
    if now - then <= 1e-6:
        return "none"
    seconds = now / (now - then)
    if math.isinf(seconds):
        return "none"
    return next(
        name
        for high, name in (
            (0.95, "under_0_95"),
            (1.5, "0_95-1_5"),
            (3, "1_5-3"),
            (6.0000001, "3-6"),
            (math.inf, "over_6"),
        )
        if seconds < high
    )
