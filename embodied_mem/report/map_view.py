"""The top-down map of a report as SVG: what was seen, the path, the things, the answers with their evidence."""

from __future__ import annotations

import numpy as np

from embodied_mem.exchange.viewing import label_color
from embodied_mem.geometry import FloatArray
from embodied_mem.report import svg
from embodied_mem.report.model import Asked, Ground, Report, Thing, Way

WIDTH = 1000.0  # drawing units
_TALLEST = 900.0


class Plan:
    """Metres to drawing units: x to the right, y up."""

    def __init__(self, low: FloatArray, high: FloatArray) -> None:
        self.low, self.high = low, high
        span = np.maximum(high - low, 1e-6)
        self.scale = float(min(WIDTH / span[0], _TALLEST / span[1]))
        self.width, self.height = float(span[0] * self.scale), float(span[1] * self.scale)

    def at(self, position: object) -> tuple[float, float]:
        x, y = self.points(np.asarray([position], dtype=np.float64))[0]
        return float(x), float(y)

    def points(self, positions: FloatArray) -> FloatArray:
        """(n, 2 or 3) metres -> (n, 2) drawing units."""
        out = (positions[:, :2] - self.low) * self.scale
        out[:, 1] = self.height - out[:, 1]
        return out


def map_svg(report: Report) -> str:
    """The whole map; questions are linked to their rows by data-question."""
    plan = Plan(*report.extent())
    parts = []
    if report.ground is not None:
        parts.append(_ground(report.ground, plan))
    parts += [
        svg.polyline(plan.points(strip), class_="path", stroke_width=2.2, stroke_linejoin="round")
        for strip in report.strips
        if len(strip) > 1
    ]
    parts += [
        svg.tag("circle", cx=x, cy=y, r=3.0, class_="pose")
        for strip in report.strips
        if len(strip) == 1
        for x, y in plan.points(strip)
    ]
    parts += _ends(report, plan)
    # Large ones first, so that what stands on a table is drawn over it.
    parts += [_thing(thing, plan) for thing in sorted(report.things, key=lambda thing: -thing.size[0] * thing.size[1])]
    if report.way is not None:
        parts.append(_way(report.way, plan))
    parts += [_answer(number, item, plan) for number, item in enumerate(report.asked, start=1)]
    parts.append(_ruler(plan))
    view = f"0 0 {plan.width:.0f} {plan.height:.0f}"
    return svg.tag("svg", *parts, viewBox=view, class_="map", role="img", aria_label="Top-down map")


def ground_pixels(ground: Ground) -> np.ndarray:
    """(rows, cols, 4): dark where something stands, pale where floor was seen, clear elsewhere."""
    rows, cols = ground.walls.shape
    pixels = np.zeros((rows, cols, 4), dtype=np.uint8)
    seen = ground.floor > 0
    pixels[seen] = (120, 150, 190, 38)
    alpha = np.clip(ground.walls * 255, 0, 215).astype(np.uint8)
    solid = alpha > 20
    pixels[solid, :3] = (70, 84, 104)
    pixels[solid, 3] = alpha[solid]
    return pixels


def _ground(ground: Ground, plan: Plan) -> str:
    x, y = plan.at((ground.low[0], ground.high[1]))
    width, height = (float(value) for value in (ground.high - ground.low) * plan.scale)
    return svg.tag(
        "image",
        href=svg.png_uri(ground_pixels(ground)),
        x=x,
        y=y,
        width=width,
        height=height,
        preserveAspectRatio="none",
    )


def _ends(report: Report, plan: Plan) -> list[str]:
    if not report.strips:
        return []
    ends = (("start", report.strips[0][0], 6.0), ("end", report.strips[-1][-1], 7.5))
    made = []
    for name, position, radius in ends:
        x, y = plan.at(position)
        made.append(svg.tag("circle", svg.title(f"{name} of the path"), cx=x, cy=y, r=radius, class_=f"end {name}"))
    return made


def _thing(thing: Thing, plan: Plan) -> str:
    x, y = plan.at(thing.position)
    color = css(label_color(thing.label))
    width, height = (max(float(value) * plan.scale, 7.0) for value in thing.size[:2])
    words = f"{thing.label}: {thing.state}, belief {thing.belief:.2f}, {len(thing.seqs)} records"
    fill = float(np.clip(0.12 / max(thing.size[0] * thing.size[1], 1e-6), 0.08, 0.4))
    corner = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height}
    box = svg.tag("rect", **corner, rx=2, fill=color, fill_opacity=fill, stroke=color, class_="box")
    label = svg.text(thing.label, x, y - height / 2 - 4, class_="label", text_anchor="middle")
    faded = "" if thing.here else " faded"
    return svg.tag("g", svg.title(words), box, label, class_=f"thing{faded}")


def _way(way: Way, plan: Plan) -> str:
    """The way as a dashed line, and the pose at its end as an arrowhead."""
    x, y = plan.at(way.points[-1])
    line = svg.polyline(plan.points(way.points), class_="way", stroke_width=2.4, stroke_linejoin="round")
    turned = f"translate({x:.1f} {y:.1f}) rotate({-np.degrees(way.heading):.1f})"
    arrow = svg.tag("path", d="M14 0 L-8 -8 L-3 0 L-8 8 z", transform=turned, class_="goal")
    return svg.tag("g", svg.title(f"The way to answer {way.number}. {way.words}"), line, arrow, class_="going")


def _answer(number: int, item: Asked, plan: Plan) -> str:
    """The answer's pin and the poses it rests on, hidden until its row is pointed at."""
    pose = item.answer.get("pose")
    parts = []
    for evidence in item.answer.get("evidence", [])[:40]:
        x, y = plan.at(evidence["pose"]["position"])
        u, v = plan.at(evidence["position"])
        if (x, y) != (u, v):
            parts.append(svg.tag("line", x1=x, y1=y, x2=u, y2=v, class_="sight"))
        parts.append(svg.tag("circle", svg.title(f"record {evidence['seq']}"), cx=x, cy=y, r=4.0, class_="seen-from"))
    if pose and item.answer.get("found"):
        x, y = plan.at(pose["position"])
        parts.append(svg.tag("path", d=f"M{x:.1f} {y:.1f} l-8 -18 a9 9 0 1 1 16 0 z", class_="pin"))
        parts.append(svg.text(number, x, y - 18, class_="pin-number", text_anchor="middle"))
    return svg.tag("g", *parts, class_="answer", data_question=number) if parts else ""


def _ruler(plan: Plan) -> str:
    span = float(plan.high[0] - plan.low[0])
    length = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e9) if step >= span / 8)
    width = length * plan.scale
    y = plan.height - 14
    line = svg.tag("path", d=f"M14 {y - 5:.1f} v5 h{width:.1f} v-5", class_="ruler")
    return line + svg.text(f"{length:g} m", 14 + width / 2, y - 6, class_="ruler-text", text_anchor="middle")


def css(color: tuple[float, float, float]) -> str:
    """Red, green, blue in 0..1 -> #rrggbb."""
    return "#" + "".join(f"{round(value * 255):02x}" for value in color)
