"""Answer parsing, metrics, baselines, predictors and the report."""
