"""One answer from several samples of a question: majority, and voting weighted by how well the evidence supports each sample.

    medians     weighted medians: of numbers, of angles, of places
    vote        typed answers with weights → the voted one, for every answer type
    wording     a typed answer as a text that reads back as it
    evidence    what a sample says that it has seen, cut from the frames
    confidence  asking a model how well that supports its answer
    asked       which questions a predictions file answers
    compare     single, majority and confidence at equal compute, with intervals
    run         the files

Voting by confidence is that of Open-o3 Video (arXiv 2510.20579); numbers, places and extents are voted as nobody published it.
"""
