"""First lessons for a model with random weights, before any question: dense, since one picture teaches some hundred numbers.

    moments.py      frames that follow each other, and where the objects that can be marked in them are, were and will be
    cells.py        what is said in each cell of a frame: by the vision tower, and behind the first layer of the language model
    rows.py         texts behind frames, as the first layers of a language model take them
    numbers.py      what the second layer says at a mark's number behind frames: where its object is in each of them
    questions.py    what the third layer says behind the number that a question names: which it was, where it is and will be;
                    and what the fourth says where the answer stands: what is asked, and the place that is asked for
    pretraining.py  the lessons to see (tower, embeddings, two layers), to look (all that and a third layer), and how things move
                    (all that and a fourth layer)
    progress.py     how far they are, in a file: a run that was killed goes on
    base.py         the model after them, as a folder

    benchmark_reachable.py  what boxes as sharp as pixels would tell a network of the future

Behind the first lesson all layers behind the second become its copies. Mark numbers are dealt anew and half of the moments are
mirrored at each visit, so that a number's colour and sign are learned and not its place. The heads that read the answers are
thrown away.
"""
