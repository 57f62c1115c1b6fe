"""Times in words: "last 5 min", "yesterday morning", "before record 12", "between 9:00 and 10:30", ISO 8601.

Words are understood in the time zone that is given (default UTC), so that the same words at the same moment mean the
same range on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo

from embodied_mem.errors import BadInputError
from embodied_mem.records.query import TimeRange

SECOND = 1_000_000_000
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "m": 60, "h": 3600, "hr": 3600, "hour": 3600,
    "d": 86400, "day": 86400, "w": 604800, "week": 604800, "month": 2592000, "year": 31536000,
}  # fmt: skip
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "half an": 0.5, "half a": 0.5,
    "few": 5, "a few": 5, "couple of": 2, "a couple of": 2,
}  # fmt: skip
_PARTS_OF_DAY = {"morning": (6, 12), "noon": (11, 14), "afternoon": (12, 18), "evening": (18, 22), "night": (22, 30)}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_COUNT = r"(?P<count>\d+(?:\.\d+)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")"
_UNIT = r"(?P<unit>" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")s?"
_CLOCK = r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(am|pm|o'clock)?"
_SLACK = 0.25  # "5 minutes ago" means 5 minutes give or take this share


def parse_when(
    text: str, now_ns: int, stamp_of: Callable[[int], int] | None = None, zone: tzinfo = timezone.utc
) -> TimeRange:
    """The range of ROS time that the words mean at `now_ns`; `stamp_of` gives the stamp of a record's number.

    Raises BadInputError, with what would be understood, for anything else; what `stamp_of` raises passes through.
    """
    words = " ".join(text.lower().replace(",", " ").split()).strip(" .?!")
    if not words:
        raise BadInputError(
            "The time is empty: say for example 'last 5 min', 'yesterday morning' or 'before record 12'."
        )
    for rule in (_span, _around_record, _open_ended, _between, _relative, _day, _absolute):
        try:
            found = rule(words, now_ns, stamp_of, zone)
        except OverflowError as error:
            raise BadInputError(
                f"The time {text!r} lies beyond the calendar: name one between 1700 and 2200."
            ) from error
        if found is not None:
            return found
    raise BadInputError(
        f"The time {text!r} is not understood: say 'last 5 min', '10 min ago', 'yesterday morning', 'today', "
        "'between 9:00 and 10:30', 'before record 12' or an ISO time such as 2026-05-01T09:30."
    )


Rule = Callable[[str, int, Callable[[int], int] | None, tzinfo], TimeRange | None]


def _span(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """last 5 min; in the past hour; within the last two days."""
    match = re.fullmatch(
        rf"(?:in |within |during |over |from )?(?:the )?(?:last|past|previous)(?: {_COUNT})? ?{_UNIT}", words
    )
    if match is None:
        return None
    return TimeRange(now - _length(match), now + 1)


def _around_record(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """before record 12; after record 12; since record 12."""
    match = re.fullmatch(r"(before|after|since|until) record (?:number |no\.? |#)?(\d+)", words)
    if match is None:
        return None
    if stamp_of is None:
        raise BadInputError("Records cannot be named in a time here.")
    stamp = stamp_of(int(match[2]))
    return TimeRange(None, stamp) if match[1] in ("before", "until") else TimeRange(stamp + (match[1] == "after"), None)


def _open_ended(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """before 9:00; after yesterday; since 10 min ago."""
    match = re.fullmatch(r"(before|until|after|since|earlier than|later than) (.+)", words)
    if match is None:
        return None
    inner = _moment(match[2], now, zone)
    if match[1] in ("before", "until", "earlier than"):
        return TimeRange(None, inner.start_ns)
    return TimeRange(inner.end_ns if match[1] in ("after", "later than") and inner.end_ns else inner.start_ns, None)


def _between(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """between 9 and 10:30; from 9:00 to 10:00 yesterday."""
    match = re.fullmatch(r"(?:between|from) (.+?) (?:and|to|until) (.+?)(?: (today|yesterday))?", words)
    if match is None:
        return None
    day = f" {match[3]}" if match[3] else ""
    start, end = _moment(match[1] + day, now, zone), _moment(match[2] + day, now, zone)
    return TimeRange(start.start_ns, end.start_ns)


def _relative(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """10 min ago; an hour ago; just now; now."""
    if words in ("now", "just now", "right now", "at the moment", "currently"):
        return TimeRange(now - 60 * SECOND, now + 1)
    match = re.fullmatch(rf"(?:about |around |roughly )?{_COUNT} ?{_UNIT} ago", words)
    if match is None:
        return None
    length = _length(match)
    return TimeRange(now - int(length * (1 + _SLACK)), now - int(length * (1 - _SLACK)))


def _day(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """today; yesterday morning; this afternoon; last night; on monday; at 9:30."""
    pattern = (
        r"(?:on )?(today|yesterday|this|last|" + "|".join(_WEEKDAYS) + r")?(?: ?(" + "|".join(_PARTS_OF_DAY) + r"))?"
    )
    clock = re.fullmatch(rf"(?:at |around |about )?{_CLOCK}(?: (today|yesterday))?", words)
    if clock is not None and (clock[2] or clock[4] or words.startswith(("at", "around", "about")) or clock[5]):
        start = _midnight(now, zone, clock[5] == "yesterday") + _clock(clock)
        return _range(start - timedelta(minutes=15), start + timedelta(minutes=15))
    match = re.fullmatch(pattern, words.removeprefix("in the "))
    if match is None or not (match[1] or match[2]):
        return None
    day, part = match[1] or "today", match[2]
    if (day == "this" and part is None) or (day == "last" and part != "night"):
        return None
    midnight = _midnight(now, zone, day in ("yesterday", "last"))
    if day in _WEEKDAYS:
        today = _midnight(now, zone, False)
        midnight = today - timedelta(days=(today.weekday() - _WEEKDAYS.index(day)) % 7 or 7)
    first, last = _PARTS_OF_DAY[part] if part else (0, 24)
    return _range(midnight + timedelta(hours=first), midnight + timedelta(hours=last))


def _absolute(words: str, now: int, stamp_of: Callable[[int], int] | None, zone: tzinfo) -> TimeRange | None:
    """2026-05-01; 2026-05-01T09:30; 2026-05-01 09:30:10."""
    match = re.fullmatch(r"(?:on |at )?(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}:\d{2}(?::\d{2})?)(z|[+-]\d{2}:\d{2})?)?", words)
    if match is None:
        return None
    try:
        stamp = datetime.fromisoformat(
            match[1] + (f"T{match[2]}" if match[2] else "") + (match[3] or "").replace("z", "+00:00")
        )
    except ValueError as error:
        raise BadInputError(f"{words!r} is not a date: {error}.") from error
    start = stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)
    width = (
        timedelta(days=1)
        if not match[2]
        else timedelta(minutes=1)
        if match[2].count(":") == 1
        else timedelta(seconds=1)
    )
    return _range(start, start + width)


def _moment(words: str, now: int, zone: tzinfo) -> TimeRange:
    bare = re.fullmatch(r"(\d{1,2})(?: (today|yesterday))?", words)
    found = (
        _day(f"at {words}" if bare else words, now, None, zone)
        or _relative(words, now, None, zone)
        or _absolute(words, now, None, zone)
    )
    if found is None:
        raise BadInputError(f"The time {words!r} is not understood: say 9:30, yesterday, 10 min ago or an ISO time.")
    is_clock = re.fullmatch(rf"(?:at )?{_CLOCK}(?: (today|yesterday))?", words)
    if is_clock and found.start_ns is not None:  # 9:30 as a border means 9:30, not a quarter of an hour around it
        border = found.start_ns + 15 * 60 * SECOND
        return TimeRange(border, border + 1)
    if words.endswith("ago") and found.start_ns is not None and found.end_ns is not None:
        border = (found.start_ns + found.end_ns) // 2
        return TimeRange(border, border + 1)
    return found


def _length(match: re.Match[str]) -> int:
    count = match["count"] or "1"
    return int(_NUMBERS.get(count, 0) * _UNITS[match["unit"]] * SECOND or float(count) * _UNITS[match["unit"]] * SECOND)


def _clock(match: re.Match[str]) -> timedelta:
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[4] == "pm" and hour < 12:
        hour += 12
    elif match[4] == "am" and hour == 12:
        hour = 0
    if hour > 24 or minute > 59 or second > 59:
        raise BadInputError(f"{match[0]!r} is not a time of day.")
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _midnight(now: int, zone: tzinfo, yesterday: bool) -> datetime:
    moment = datetime.fromtimestamp(now // SECOND, zone)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=yesterday)


def _range(start: datetime, end: datetime) -> TimeRange:
    return TimeRange(int(start.timestamp()) * SECOND, int(end.timestamp()) * SECOND)
