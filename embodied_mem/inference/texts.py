"""What every embedder demands of its texts."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_mem.errors import BadInputError


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts without surrounding white space. Raises BadInputError naming the first that cannot be embedded."""
    if isinstance(texts, str | bytes):
        raise BadInputError("An embedder takes a list of texts, not a single one: put it in a list.")
    cleaned = []
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise BadInputError(f"Text {place} cannot be embedded: it is of type {type(text).__name__}, not str.")
        stripped = text.strip()
        if not stripped:
            raise BadInputError(
                f"Text {place} cannot be embedded: it is empty. Leave it out or describe what was seen."
            )
        if any("\ud800" <= char <= "\udfff" for char in stripped):
            raise BadInputError(f"Text {place} cannot be embedded: it is not valid Unicode. Decode it as UTF-8 first.")
        cleaned.append(stripped)
    return cleaned
