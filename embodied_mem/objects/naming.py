"""How people name a detection: the record, and its place among the record's detections."""

from __future__ import annotations

from embodied_mem.errors import BadInputError


def detection(word: str) -> tuple[int, int]:
    """ "12.3" -> record 12, its detection 3. Raises BadInputError."""
    record, dot, place = word.partition(".")
    if not (dot and record.isdecimal() and place.isdecimal() and int(record) > 0):
        raise BadInputError(
            f"{word!r} names no detection: write the record's number, a point and the place among its detections, "
            "from 0, such as 12.0; the id of a thing is one of its detections."
        )
    return int(record), int(place)
