"""Models behind small protocols (protocols.py), and the runtimes that execute them.

Start with `default_embedder` (select.py). Nothing here imports the memories: whoever needs a model is given one.
"""
