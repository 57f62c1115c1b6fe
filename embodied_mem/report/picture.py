"""The top-down map as one picture file, for where no browser is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from embodied_mem.errors import UnavailableError
from embodied_mem.exchange.output import whole_file
from embodied_mem.exchange.viewing import label_color
from embodied_mem.report.map_view import ground_pixels
from embodied_mem.report.model import Asked, Report

_SAME_PLACE = 0.2  # metres
_COLORS = {True: "#2b8a3e", False: "#c92a2a", None: "#d9480f"}


def write_picture(report: Report, path: Path) -> None:
    """Write a PNG (or what the ending says). Raises UnavailableError without matplotlib, StorageError."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UnavailableError("A picture needs the package matplotlib: pip install matplotlib.") from None
    low, high = report.extent()
    wide, tall = (float(value) for value in high - low)
    scale = 11.0 / max(wide, tall)
    figure = Figure(figsize=(max(wide * scale, 4.0) + 1.0, max(tall * scale, 3.0) + 1.2), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if report.ground is not None:
        corners = (report.ground.low[0], report.ground.high[0], report.ground.low[1], report.ground.high[1])
        axes.imshow(ground_pixels(report.ground), extent=corners, zorder=0)
    for strip in report.strips:
        axes.plot(
            strip[:, 0], strip[:, 1], "-" if len(strip) > 1 else ".", color="#2b6cb0", lw=1.4, alpha=0.8, zorder=2
        )
    _draw_things(axes, report)
    _draw_answers(axes, report)
    if report.way is not None:
        line, end = report.way.points, report.way.points[-1]
        axes.plot(line[:, 0], line[:, 1], "--", color="#c05621", lw=1.6, zorder=6)
        toward = 0.35 * np.array([np.cos(report.way.heading), np.sin(report.way.heading)])
        head = {"arrowstyle": "-|>", "color": "#c05621", "lw": 1.6}
        axes.annotate("", end[:2] + toward, end[:2], arrowprops=head, zorder=6)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x, m", ylabel="y, m", aspect="equal")
    score = f" · {report.right} of {len(report.judged)} answers right" if report.judged else ""
    axes.set_title(f"{report.title}{score}", fontsize=12, loc="left")
    figure.tight_layout()
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def _draw_things(axes: Any, report: Report) -> None:
    from matplotlib.patches import Rectangle

    for thing in report.things:
        (x, y, _), (wide, tall, _) = thing.position, thing.size
        wide, tall = max(wide, 0.05), max(tall, 0.05)
        color = label_color(thing.label)
        sure = thing.here
        corner = (x - wide / 2, y - tall / 2)
        style = "-" if sure else "--"
        fill = (*color, min(0.12 / (wide * tall), 0.4 if sure else 0.1))
        axes.add_patch(Rectangle(corner, wide, tall, facecolor=fill, edgecolor=color, ls=style, lw=1.1, zorder=3))
        axes.text(
            x,
            y + tall / 2 + 0.03,
            thing.label,
            fontsize=6,
            ha="center",
            va="bottom",
            alpha=1 if sure else 0.5,
            zorder=4,
        )


def _draw_answers(axes: Any, report: Report) -> None:
    """A bubble at each answered place with the numbers of its questions; red where one of them is wrong."""
    places: list[tuple[float, float, list[tuple[int, Asked]]]] = []
    for number, item in enumerate(report.asked, start=1):
        pose = item.answer.get("pose")
        if not pose or not item.answer.get("found"):
            continue
        x, y = pose["position"][:2]
        near = next((group for px, py, group in places if abs(px - x) + abs(py - y) < _SAME_PLACE), None)
        if near is None:
            places.append((x, y, [(number, item)]))
        else:
            near.append((number, item))
    for x, y, group in places:
        rights = {item.right for _, item in group}
        color = _COLORS[False if False in rights else True if True in rights else None]
        axes.annotate(
            ", ".join(str(number) for number, _ in group),
            (x, y),
            xytext=(0, 13),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7,
            color="white",
            zorder=6,
            arrowprops={"arrowstyle": "-", "color": color, "lw": 1.2},
            bbox={"boxstyle": "round,pad=0.3", "facecolor": color, "edgecolor": "white", "lw": 0.6},
        )
