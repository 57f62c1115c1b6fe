"""A few words of SVG."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tag(name: str, *children: str, **attributes: Any) -> str:
    """<name a="1">children</name>; a trailing underscore is dropped and others become dashes; None is left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{words}>{''.join(children)}</{name}>" if children else f"<{name}{words}/>"


def text(content: object, x: float, y: float, **attributes: Any) -> str:
    """Text at a point."""
    return tag("text", escape(str(content)), x=x, y=y, **attributes)


def title(content: object) -> str:
    """The words that appear when the pointer rests on the element around."""
    return tag("title", escape(str(content)))


def polyline(points: NDArray[np.float64], **attributes: Any) -> str:
    """(n, 2) drawing units."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("polyline", points=joined, fill="none", **attributes)


def png_uri(pixels: NDArray[np.uint8]) -> str:
    """(rows, cols, 4) red, green, blue, alpha -> a data: address."""
    rows, cols, channels = pixels.shape
    if channels != 4:
        raise ValueError(f"pixels need four channels, not {channels}")
    lines = np.zeros((rows, 1 + cols * 4), dtype=np.uint8)
    lines[:, 1:] = pixels.reshape(rows, -1)
    head = struct.pack(">IIBBBBB", cols, rows, 8, 6, 0, 0, 0)
    parts = [_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)), _chunk(b"IEND", b"")]
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _text(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
