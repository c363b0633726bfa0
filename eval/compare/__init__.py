"""Runs beside each other, paired on the same questions: what became better or worse, and whether that is luck.

    OUT/comparison.json   see below
    OUT/flips.parquet     the questions that one run answers right and the other not (eval.compare.flips)
    OUT/comparison.md     the verdict and the surest changes, for a pull request
    OUT/comparison.html   all of it on one page that needs nothing else

The first evaluation is the base. Compared are the questions that every run was asked and any of them answered; how many others
each was asked is told. comparison.json, keys in this order of meaning:

    questions, logs                    that are compared
    base                               name, evaluation, model, split, left_out (questions that are not compared),
                                       unanswered (of those that are: no answer, which is wrong)
    runs[]                             the same of each other run, and
      summary                          one sentence
      comparisons                      kind → how many p-values were corrected together
      flips                            lost (right → wrong), gained (wrong → right), dangerous (lost, dangerously wrong now)
      flips_by.DIMENSION.VALUE         n, lost, gained
      metrics[]                        regressions first; metric, kind (headline, safety, slice), better (higher, lower), base,
                                       other, difference (other - base), low, high (its paired 95 % interval), p, p_holm, n,
                                       clusters, cluster_kind, verdict (see eval.compare.changes)
"""

from eval.compare.run import compare

__all__ = ["compare"]
