"""The page of results of an experiment: evaluations of many rows and seeds in (`read`), one Markdown file out (`page`).

`tables` has the tables, and `cells` says how a number is written, of one seed and of several.
"""

from eval.results.page import write_results
from eval.results.read import Entry

__all__ = ["Entry", "write_results"]
