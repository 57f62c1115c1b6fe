"""Which embedder a process uses."""

from __future__ import annotations

import logging

from embodied_mem.errors import BadInputError, EmbodiedMemError
from embodied_mem.inference.cache import CachedEmbedder
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.inference.minilm import MiniLMEmbedder
from embodied_mem.inference.minilm_lowbit import VARIANTS, LowBitMiniLM, variant_file
from embodied_mem.inference.protocols import Embedder

logger = logging.getLogger(__name__)

CHOICES = ("auto", "minilm", "hashing", *VARIANTS)


def default_embedder(name: str = "auto", *, cache: bool = True) -> Embedder:
    """The embedder called `name`.

    "minilm" compares by meaning, and is cached; so do its variants in few bits, such as "minilm-fp6", once they
    were made by `embodied-mem quantize`; "hashing" compares by shared words, and needs nothing installed; "auto" is
    the first of these that works here, with a logged sentence when that is only hashing.

    cache: remember the texts that were embedded last

    Raises BadInputError for another name, UnavailableError or StorageError when a model cannot be had.
    """
    if name not in CHOICES:
        raise BadInputError(f"There is no embedder called {name!r}: choose one of {', '.join(CHOICES)}.")
    if name == "hashing":
        return HashingEmbedder()
    if name in VARIANTS:
        return _cached(LowBitMiniLM(variant_file(name)), cache)
    try:
        return _cached(MiniLMEmbedder(), cache)
    except EmbodiedMemError as error:
        if name == "minilm":
            raise
        logger.warning("Texts are compared by shared words only, not by meaning: %s", error)
        return HashingEmbedder()


def _cached(embedder: Embedder, cache: bool) -> Embedder:
    return CachedEmbedder(embedder) if cache else embedder
