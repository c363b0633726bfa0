"""What a model gets wrong about where a target is and will be, and why.

    python -m eval.error_analysis STORE --predictions FILE --out FOLDER

    FOLDER/errors.md   tables: kinds and causes of errors, slices, sizes of errors, and what the labels allow at most
    FOLDER/*.png       said against true distance, and typical cases from above, beside what the model saw

Targets, LSR, MLSR, TLC and tolerances are those of `eval.localization`. Targets that were not asked about at all of 0, 1, 2 and
3 s are left out, and their number is told. The same input gives the same files.
"""
