"""Reasoning found by a tree search with a teacher, for questions whose logs have no tracks to write it from.

After the warm start of ViGoRL (arXiv 2505.23678): a teacher proposes steps that each end in a point, UCB1 chooses where to go
on, a branch is worth what its answer is, and the tree is told as chains that lead to the right answer, straight or after a
wrong turn. Unlike there every point is checked against the marked boxes where there are some.

    steps       what a teacher says → one step that ends in a point, or an answer
    tree        the search itself: pure, given who proposes and who judges
    reward      whether an answer is right
    linearize   a tree → direct and corrected chains
    verify      points in true boxes
    teacher     what a teacher is; how it is asked
    served      a teacher behind an OpenAI-compatible address
    local       a teacher that is loaded here
    teachers    a teacher as the command line names it
    run         all questions of a split → records, going on where it was stopped
    records     the file of found chains
    recorded    found chains as what a cold start learns
"""
