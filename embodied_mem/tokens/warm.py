"""Compiles every kernel once, so that the first write is not late: python -m embodied_mem.tokens.warm"""

from __future__ import annotations

import numpy as np

from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.store import ELEMENT_KEY, TokenStore
from embodied_mem.tokens.weights import untrained


def warm() -> None:
    """Write into a token, and read it back."""
    store = TokenStore(TokenCodec(untrained("warm", 16, latent=8)))
    store.add(np.zeros(1, dtype=ELEMENT_KEY))
    element, vector, where = np.zeros(1, np.int64), np.eye(16, dtype=np.float32)[:1], np.zeros((1, 3))
    for record in (1, 2):
        store.write(element, vector, element + record, element, where)
    store.recent(0, 2)


if __name__ == "__main__":
    warm()
