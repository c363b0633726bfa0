"""The true answers once more, from the raw tables, by code that shares nothing with `qa_gen`.

Places go through the global frame where there are poses, footprints through shapely. Definitions are read from
`docs/questions.md`; nothing here imports the generator, nor the geometry of the core.
"""

from tests.qa_gen.oracle.check import CATALOGUE, OracleResult, check_log

__all__ = ["CATALOGUE", "OracleResult", "check_log"]
