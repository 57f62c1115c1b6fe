"""Recorded data -> sensor frames and observations: bags, folders of frames, laser logs, captions.

Each reader is an iterable of `RgbdFrame`s or `Observation`s that knows its length (for progress) and raises
BadInputError, in a sentence, for what it cannot read. `open_recording` chooses one by looking at the path.
"""
