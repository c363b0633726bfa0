"""What the page may ask for: each address with its parameters and its answer.

    /api/store       the store's name, its evaluations, the values to filter by
    /api/logs        search, start
    /api/log         log
    /api/moment      log, frame
    /api/questions   log, frame, group, family, type, form, split, category, track, text, evaluation, answerer, outcome, metric,
                     at_log, at_offset
    /api/question    log, question
    /api/group       log, group
    /api/metrics     evaluation
    /image           log, frame, camera, width
    /context         log, group, context, width

Names of logs, questions, groups, cameras and metrics are looked up in what the store has; none becomes part of a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drive_vqa.errors import ConfigError
from drive_vqa.marks import mark_color
from drive_vqa.prompt import time_line
from drive_vqa.store import Store
from eval.explore import drives, moments, questions
from eval.explore.answers import MODEL, UNANSWERED, Answerer, Evaluated
from eval.explore.drives import Row
from eval.explore.metrics import metrics_table
from eval.explore.parameters import Parameters
from eval.explore.pictures import WIDTHS_PX, picture_of_camera, picture_of_context
from eval.report.severity import OUTCOMES

LOGS_PAGE = 100
MANY = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Explorer:
    """What is looked at."""

    store: Store
    evaluations: tuple[Evaluated, ...] = ()

    def evaluation(self, asked: Parameters) -> Evaluated:
        """The evaluation that is asked for by its place.

        Raises:
            ConfigError: there is no such one.
        """
        if not self.evaluations:
            raise ConfigError("no evaluation was given: start again with --evaluation EVAL")
        return self.evaluations[asked.number("evaluation", len(self.evaluations), 0)]

    def models(self) -> list[Answerer]:
        """The models of all evaluations."""
        return [one.answerers[MODEL] for one in self.evaluations]


def about_store(explorer: Explorer, _asked: Parameters) -> Row:
    """The store's name, its evaluations, and the values to filter by."""
    evaluations = [
        {"title": one.answerers[MODEL].title, "folder": one.root.name, "answerers": list(one.answerers)}
        for one in explorer.evaluations
    ]
    outcomes = {**OUTCOMES, UNANSWERED: "Unanswered"}
    values = {**questions.facets(explorer.store), "outcome": list(outcomes)}
    name = explorer.store.root.resolve().name
    return {"store": name, "evaluations": evaluations, "values": values, "outcomes": outcomes, "widths": WIDTHS_PX}


def logs(explorer: Explorer, asked: Parameters) -> Row:
    """A page of the list of logs."""
    return drives.list_logs(explorer.store, asked.text("search"), asked.number("start", MANY, 0), LOGS_PAGE)


def log(explorer: Explorer, asked: Parameters) -> Row:
    """A log as a whole."""
    return drives.overview(explorer.store, asked.needed("log"))


def moment(explorer: Explorer, asked: Parameters) -> Row:
    """One frame of a log."""
    return moments.moment(explorer.store, asked.needed("log"), asked.number("frame", MANY))


def list_questions(explorer: Explorer, asked: Parameters) -> Row:
    """A page of the questions that fit a filter."""
    columns = {**{name: name for name in questions.FACETS}, "group": "group_id"}
    wanted = questions.Wanted(
        equal={column: asked.text(name) for name, column in columns.items() if asked.text(name)},
        frame=asked.number("frame", MANY) if asked.text("frame") else None,
        **{name: asked.text(name) for name in ("category", "track", "text", "outcome", "metric")},
    )
    answerer = None
    if wanted.outcome or wanted.metric:
        answerer = explorer.evaluation(asked).answerer(asked.text("answerer") or MODEL)
    everyone = explorer.models()
    everyone += [answerer] if answerer is not None and answerer not in everyone else []
    start = questions.Place(asked.number("at_log", MANY, 0), asked.number("at_offset", MANY, 0))
    return questions.find(explorer.store, asked.text("log"), wanted, answerer, everyone, start)


def question(explorer: Explorer, asked: Parameters) -> Row:
    """A question with the answers of all models and their baselines."""
    everyone = [answerer for one in explorer.evaluations for answerer in one.answerers.values()]
    return questions.one_question(explorer.store, asked.needed("log"), asked.needed("question"), everyone)


def group(explorer: Explorer, asked: Parameters) -> Row:
    """The images of a group and its marks with their colours."""
    found = drives.read_group(explorer.store, asked.needed("log"), asked.needed("group"))
    several = len({view["camera"] for view in found["context"]}) > 1
    context = [
        {
            "frame": view["frame"],
            "camera": view["camera"],
            "when": time_line(view["offset_s"], view["camera"] if several else None).rstrip(":"),
            "has_image": bool(view["path"] and view["width"] and view["height"]),
        }
        for view in found["context"]
    ]
    marks = [
        {"mark": mark["mark"], "track": mark["track_id"], "category": mark["category"], "rgb": mark_color(mark["mark"])}
        for mark in found["marks"]
    ]
    return {"group": found["group_id"], "kind": found["kind"], "context": context, "marks": marks}


def metrics(explorer: Explorer, asked: Parameters) -> Row:
    """The numbers of an evaluation."""
    return metrics_table(explorer.evaluation(asked))


def image(explorer: Explorer, asked: Parameters) -> tuple[bytes, str]:
    """What a camera saw."""
    frame, width_px = asked.number("frame", MANY), _width_px(asked)
    return picture_of_camera(explorer.store, asked.needed("log"), frame, asked.needed("camera"), width_px)


def context(explorer: Explorer, asked: Parameters) -> tuple[bytes, str]:
    """What a model was shown."""
    place, width_px = asked.number("context", 1000), _width_px(asked)
    return picture_of_context(explorer.store, asked.needed("log"), asked.needed("group"), place, width_px)


def _width_px(asked: Parameters) -> int:
    width_px = asked.number("width", 10_000)
    if width_px not in WIDTHS_PX:
        raise ConfigError(f"width={width_px} is not offered: choose {', '.join(map(str, WIDTHS_PX))}")
    return width_px


@dataclass(frozen=True)
class Route:
    """An address: who answers, and with which parameters."""

    answer: Callable[[Explorer, Parameters], Row | tuple[bytes, str]]
    known: tuple[str, ...] = ()


ROUTES = {
    "/api/store": Route(about_store),
    "/api/logs": Route(logs, ("search", "start")),
    "/api/log": Route(log, ("log",)),
    "/api/moment": Route(moment, ("log", "frame")),
    "/api/questions": Route(
        list_questions,
        (
            *("log", "frame", "group", "category", "track", "text", *questions.FACETS),
            *("evaluation", "answerer", "outcome", "metric", "at_log", "at_offset"),
        ),
    ),
    "/api/question": Route(question, ("log", "question")),
    "/api/group": Route(group, ("log", "group")),
    "/api/metrics": Route(metrics, ("evaluation",)),
    "/image": Route(image, ("log", "frame", "camera", "width")),
    "/context": Route(context, ("log", "group", "context", "width")),
}
"""By path; whatever else is asked for is not there."""
