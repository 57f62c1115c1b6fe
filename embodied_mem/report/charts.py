"""The small charts of a report, as SVG."""

from __future__ import annotations

import numpy as np

from embodied_mem.report import svg
from embodied_mem.report.model import Report

WIDTH, HEIGHT = 520.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 10.0, 12.0, 24.0


def _frame(*parts: str, height: float = HEIGHT, label: str) -> str:
    return svg.tag("svg", *parts, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", class_="chart", role="img", aria_label=label)


def records_over_time(report: Report) -> str:
    """Bars of records by time, with the events as flags. Empty without records."""
    if not len(report.stamps):
        return ""
    seconds = (report.stamps - report.stamps.min()) * 1e-9
    span = max(float(seconds.max()), 1e-3)
    count, edges = np.histogram(seconds, bins=48, range=(0, span))
    top = max(int(count.max()), 1)
    wide, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    parts = [_axis_x(span), svg.text(top, _LEFT - 5, _TOP + 4, class_="tick", text_anchor="end")]
    parts.append(svg.text(0, _LEFT - 5, _TOP + tall, class_="tick", text_anchor="end"))
    bar = wide / len(count)
    for n, start in zip(count, edges, strict=False):
        height = tall * int(n) / top
        words = svg.title(f"{int(n)} records from {start:.0f} s on")
        x = _LEFT + wide * float(start) / span
        parts.append(svg.tag("rect", words, x=x, y=_TOP + tall - height, width=bar - 1, height=height, class_="bar"))
    for event in report.events:
        at = (event.stamp_ns - int(report.stamps.min())) * 1e-9
        if 0 <= at <= span:
            x = _LEFT + wide * at / span
            line = svg.tag("line", x1=x, y1=_TOP, x2=x, y2=_TOP + tall, class_="event")
            flag = svg.tag("circle", cx=x, cy=_TOP, r=4.0, class_="event-flag")
            parts.append(svg.tag("g", svg.title(f"{at:.0f} s: {event.text}"), line, flag))
    return _frame(*parts, label="Records over time")


def probabilities(report: Report) -> str:
    """A dot for each judged answer along its probability, right ones above wrong ones."""
    if not report.judged:
        return ""
    height = 110.0
    wide = WIDTH - 70.0 - _RIGHT
    parts = []
    for y, word in ((34.0, "right"), (70.0, "wrong")):
        parts.append(svg.tag("line", x1=70.0, y1=y, x2=70.0 + wide, y2=y, class_="rail"))
        parts.append(svg.text(word, 62, y + 4, class_="tick", text_anchor="end"))
    parts += [
        svg.text(f"{share:g}", 70 + wide * share, height - 8, class_="tick", text_anchor="middle")
        for share in (0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    stacked: dict[tuple[int, bool], int] = {}
    for item in report.judged:
        probability = float(np.clip(item.answer.get("probability") or 0.0, 0, 1))
        key = (round(probability * 40), bool(item.right))
        above = stacked[key] = stacked.get(key, 0) + 1
        y = (34.0 if item.right else 70.0) - (above - 1) * 7.5
        words = svg.title(f"{probability:.2f}: {item.question}")
        kind = "right" if item.right else "wrong"
        parts.append(svg.tag("circle", words, cx=70 + wide * probability, cy=y, r=4.5, class_=f"dot {kind}"))
    return _frame(*parts, height=height, label="Probability of right and wrong answers")


def answer_times(report: Report) -> str:
    """A bar for each question: milliseconds from asking to the answer."""
    times = [item.milliseconds for item in report.asked if item.milliseconds > 0]
    if not times:
        return ""
    height = 110.0
    tall, wide = height - _TOP - _BOTTOM, WIDTH - _LEFT - _RIGHT
    top = max(times)
    step = wide / len(times)
    parts = [svg.text(f"{top:.0f}", _LEFT - 5, _TOP + 4, class_="tick", text_anchor="end")]
    for i, value in enumerate(times):
        size = tall * value / top
        words = svg.title(f"question {i + 1}: {value:.1f} ms")
        x = _LEFT + i * step
        parts.append(
            svg.tag("rect", words, x=x, y=_TOP + tall - size, width=max(step - 2, 1), height=size, class_="bar")
        )
    middle = f"milliseconds to answer, median {np.median(times):.1f}"
    parts.append(svg.text(middle, _LEFT, height - 8, class_="tick"))
    return _frame(*parts, height=height, label="Time to answer")


def phases(report: Report) -> str:
    """Where the time of the run went."""
    if not report.phases:
        return ""
    row = 24.0
    height = row * len(report.phases) + 6
    longest = max(max(seconds for _, seconds in report.phases), 1e-9)
    parts = []
    for i, (name, seconds) in enumerate(report.phases):
        y = i * row + 4
        width = (WIDTH - 230) * seconds / longest
        parts.append(svg.text(name, 150, y + 13, class_="tick", text_anchor="end"))
        parts.append(svg.tag("rect", x=158.0, y=y, width=max(width, 1.5), height=row - 7, rx=2, class_="bar"))
        parts.append(svg.text(f"{seconds:.1f} s", 164 + max(width, 1.5), y + 13, class_="tick"))
    return _frame(*parts, height=height, label="Time of each phase")


def _axis_x(span: float) -> str:
    wide, y = WIDTH - _LEFT - _RIGHT, HEIGHT - _BOTTOM
    unit, size = ("s", 1.0) if span < 600 else ("min", 60.0) if span < 36_000 else ("h", 3600.0)
    line = svg.tag("line", x1=_LEFT, y1=y, x2=WIDTH - _RIGHT, y2=y, class_="rail")
    marks = [
        svg.text(f"{span * share / size:.0f} {unit}", _LEFT + wide * share, y + 16, class_="tick", text_anchor=anchor)
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    ]
    return line + "".join(marks)
