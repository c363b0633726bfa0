"""A first lesson for a model with random weights, before any question: dense, since one picture teaches some hundred numbers.

    pictures.py     frames of the groups, and the objects that can be marked in them
    cells.py        what the vision tower should say in each of its cells
    numbers.py      what the first layer of the language model should say at a mark's number behind the picture
    pretraining.py  both losses together; the other layers then begin as copies of the first
    base.py         the model after it, as a folder

Mark numbers are dealt anew and half of the pictures are mirrored at each visit, so that a number's colour and sign are learned
and not its place. The heads that read the answers are thrown away.
"""
