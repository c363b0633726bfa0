"""What a store holds: how many questions of each type, form and split, and how far their answers could be guessed.

`python -m qa_gen.counts STORE` counts anew, compares with the manifest and prints the answers' priors; it ends with 1 where the
counts differ. The prior of a type and form is the share of its most frequent answer; chance is what an even guess among the
answers on offer would get.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.store import Store
from qa_gen.groups import SPLITS

COUNTED = ("type", "form", "split")
STEP = "generate"


@dataclass(frozen=True)
class Prior:
    """How often the most frequent answer of a type and form is right.

    Attributes:
        kind: type.
        form: form.
        n: questions.
        answer: the most frequent.
        share: of it, in [0, 1].
        chance: mean of one over the number of options; None for an open question.
    """

    kind: str
    form: str
    n: int
    answer: str
    share: float
    chance: float | None


def count_questions(store: Store) -> dict[str, dict[str, int]]:
    """How many questions there are of each type, form and split, read from the tables."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    with ThreadPoolExecutor() as threads:
        for found in threads.map(lambda log_id: _counts_of_log(store, log_id), store.log_ids("questions")):
            for name, counter in counts.items():
                counter.update(found[name])
    return {name: dict(sorted(counter.items())) for name, counter in counts.items()}


def counts_sentence(store: Store) -> str:
    """How many questions the manifest says there are."""
    counts = store.manifest()["steps"][STEP]["counts"]
    total = sum(counts["split"].values())
    splits = ", ".join(f"{split} {counts['split'][split]:,}" for split in SPLITS if split in counts["split"])
    return f"{total:,} questions of {len(counts['type'])} types{f' ({splits})' if splits else ''}"


def _counts_of_log(store: Store, log_id: str) -> dict[str, dict[str, int]]:
    table = store.read("questions", log_id, COUNTED)
    return {
        name: {entry["values"]: entry["counts"] for entry in pc.value_counts(table[name]).to_pylist()}
        for name in COUNTED
    }


def answer_priors(store: Store) -> list[Prior]:
    """The priors of every type and form, in order of their names."""
    parts = [
        store.read("questions", log_id, ("type", "form", "answer", "options")) for log_id in store.log_ids("questions")
    ]
    table = pa.concat_tables([part for part in parts if part.num_rows])
    offered = pc.list_value_length(table["options"])
    table = table.append_column("offered", pc.if_else(pc.equal(table["form"], "yes_no"), 2, offered))
    return list(_priors(table))


def _priors(table: pa.Table) -> Iterator[Prior]:
    answers = table.group_by(["type", "form", "answer"]).aggregate([("answer", "count"), ("offered", "sum")])
    frame = answers.to_pandas().sort_values(
        ["type", "form", "answer_count", "answer"], ascending=[True, True, False, True]
    )
    chances = table.append_column("chance", pc.divide(1.0, table["offered"].cast(pa.float64())))
    chance_of = (
        chances.group_by(["type", "form"]).aggregate([("chance", "mean")]).to_pandas().set_index(["type", "form"])
    )
    for (kind, form), rows in frame.groupby(["type", "form"], sort=True):
        n, first = int(rows["answer_count"].sum()), rows.iloc[0]
        chance = None if form == "open" else float(chance_of.loc[(kind, form), "chance_mean"])
        yield Prior(str(kind), str(form), n, str(first["answer"]), int(first["answer_count"]) / n, chance)


def prior_table(priors: Sequence[Prior]) -> str:
    """The priors as text, one line a type and form."""
    lines = [f"{'type':<24} {'form':<7} {'n':>9} {'chance':>7} {'prior':>7}  most frequent answer"]
    for prior in priors:
        chance = "" if prior.chance is None else f"{100 * prior.chance:.1f} %"
        share = f"{100 * prior.share:.1f} %"
        lines.append(f"{prior.kind:<24} {prior.form:<7} {prior.n:>9,} {chance:>7} {share:>7}  {prior.answer}")
    return "\n".join(lines)


def main() -> int:
    """Count, compare, print."""
    store = Store.open(Path(sys.argv[1]))
    counts = count_questions(store)
    told = store.manifest().get("steps", {}).get(STEP, {}).get("counts")
    sys.stdout.write(f"{prior_table(answer_priors(store))}\n")
    total = sum(counts["split"].values())
    per_split = ", ".join(f"{split} {count:,}" for split, count in counts["split"].items())
    agree = told == counts
    verdict = "as the manifest says" if agree else "the manifest says otherwise: run `drive-vqa generate` again"
    sys.stdout.write(
        f"{total:,} questions ({per_split}), {np.count_nonzero(list(counts['type'].values()))} types; {verdict}\n"
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
