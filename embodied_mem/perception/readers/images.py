"""Image files and compressed images -> arrays."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import metres

_PNG = b"\x89PNG"


def decode_rgb(data: bytes, what: str) -> NDArray[np.uint8]:
    """JPEG or PNG bytes -> (h, w, 3) uint8. Raises BadInputError, naming `what`."""
    return np.asarray(_open(data, what).convert("RGB"), dtype=np.uint8)


def decode_depth(data: bytes, what: str) -> NDArray[np.float32]:
    """A 16-bit PNG in millimetres, alone or behind a compressedDepth header -> (h, w) float32 metres."""
    start = data.find(_PNG, 0, 64)
    if start < 0:
        raise BadInputError(f"{what} is not a depth image: only PNG is read (RVL is not).")
    image = np.asarray(_open(data[start:], what))
    if image.dtype not in (np.uint16, np.int32) or image.ndim != 2:
        raise BadInputError(f"{what} is not a 16-bit depth image but {image.dtype} {image.shape}.")
    return metres(image.astype(np.uint16))


def _open(data: bytes, what: str):  # type: ignore[no-untyped-def]
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInputError(f"{what} is not a readable image ({error}).") from error
    return image
