"""First lessons for a model with random weights, before any question: dense, since one picture teaches some hundred numbers.

    moments.py      frames that follow each other, and where the objects that can be marked in them are, were and will be
    cells.py        what is said in each cell of a frame: by the vision tower, and behind the first layer of the language model
    rows.py         texts behind frames, as the first layers of a language model take them
    numbers.py      what the second layer says at a mark's number behind frames: where its object is in each of them
    questions.py    what the third layer says behind the number that a question names: which it was, where it is and will be
    pretraining.py  the lesson to see (tower, embeddings, two layers), then to look (all that and a third layer) in one schedule
    progress.py     how far they are, in a file: a run that was killed goes on
    base.py         the model after them, as a folder

Between the two lessons all layers behind the second become its copies. Mark numbers are dealt anew and half of the moments are
mirrored at each visit, so that a number's colour and sign are learned and not its place. The heads that read the answers are
thrown away.
"""
