"""Scores of predictions made on published benchmarks, from local files in the layout that each is published in.

- tasks.py: one question of a benchmark, in one form for all
- records.py: JSON, JSON lines, TSV and Parquet, read with suspicion
- options.py: options by letter
- scored.py: questions with answers and verdicts, and the metrics that all benchmarks share
- stride.py, treebench.py, v_star.py, vstar_bench.py, sat.py, blink.py, screenspot.py, spatialrgpt.py: a benchmark each
- score.py: predictions to metrics

Nothing is downloaded, and no image is opened.
"""
