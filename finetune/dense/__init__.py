"""First lessons for a model with random weights, before any question: dense, since one picture teaches some hundred numbers.

    pictures.py     frames of the groups, and the objects that can be marked in them
    cells.py        what the vision tower should say in each of its cells
    rows.py         texts behind frames, as the first layers of a language model take them
    numbers.py      what the first layer should say at a mark's number behind the picture
    questions.py    what the second layer should say behind the number that a question names
    pretraining.py  the lessons to see and to look; between them the other layers become copies of the first
    base.py         the model after it, as a folder

Mark numbers are dealt anew and half of the pictures are mirrored at each visit, so that a number's colour and sign are learned
and not its place. The heads that read the answers are thrown away.
"""
