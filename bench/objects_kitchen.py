"""The cups of a real kitchen as stable things: 125 RGB-D frames through the detector, then the object view.

Each cup that was marked by hand (bench/kitchen.py) must be one thing within 0.15 m over all frames it is seen in. The
boxes of the things are drawn into six frames, in runs/objects/.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT, Options, Report, parse
from bench.kitchen import MARKS, Frames, command
from embodied_mem.objects.things import Thing
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory

FloatArray = NDArray[np.float64]
_WITHIN = 0.15  # metres
_DRAWN = (0, 240, 280, 360, 600, 880)
_WORDS = ("cup", "chair", "dining table")


def _things(data: Path) -> dict[str, list[Thing]]:
    with tempfile.TemporaryDirectory() as folder:
        detector = data / "perception" / "nanodet_coco80.onnx"
        command("replay", data / "rgbd_7scenes", "--detector", detector, "--memory", folder)
        memory = RecordMemory.open(folder, None, read_only=True)
        view = ObjectView(memory.index)
        found = {word: view.locate(word).here for word in _WORDS}
        memory.close()
    return found


def _draw(frames: Frames, found: dict[str, list[Thing]], cups: dict[str, FloatArray], path: Path) -> None:
    from PIL import Image, ImageDraw

    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    sheet = Image.new("RGB", (3 * 640, 2 * 480))
    for place, number in enumerate(_DRAWN):
        picture = frames.color(number)
        draw = ImageDraw.Draw(picture)
        for cup in cups.values():
            if (pixel := frames.projected(number, cup)) is not None:
                u, v = pixel
                draw.line([(u - 8, v), (u + 8, v)], fill=(0, 255, 0), width=2)
                draw.line([(u, v - 8), (u, v + 8)], fill=(0, 255, 0), width=2)
        for word, colour in zip(_WORDS, ((255, 0, 0), (255, 160, 0), (80, 160, 255)), strict=True):
            for thing in found[word]:
                corners = [frames.projected(number, thing.position + sign * thing.extent) for sign in signs]
                seen = [corner for corner in corners if corner is not None]
                if len(seen) == len(corners):
                    u, v = np.array(seen).T
                    draw.rectangle([u.min(), v.min(), u.max(), v.max()], outline=colour, width=3)
        draw.text((8, 8), f"frame {number} (colour, not registered to depth)", fill=(255, 255, 0))
        sheet.paste(picture, (640 * (place % 3), 480 * (place // 3)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    print(f"drawn: {path.relative_to(ROOT)}")


def run(options: Options) -> int:
    report = Report("objects_kitchen", options, packages=("onnxruntime",))
    data = Path(os.environ.get("EMBODIED_MEM_DATA", ROOT / ".." / "shared" / "data"))
    if options.quick or not (data / "rgbd_7scenes").is_dir():
        why = "the frames take longer than a minute" if options.quick else f"{data} is not here"
        report.bar("each cup is one thing within 0.15 m", None, at_most=_WITHIN, why_open=why)
        return report.finish()
    report.note("Frames: Microsoft 7-Scenes (research use only). Detector: NanoDet on COCO, MIT.")
    frames = Frames(data / "rgbd_7scenes")
    found = _things(data)
    rows: list[list[Any]] = []
    cups = {}
    for cup, marks in MARKS.items():
        cups[cup] = np.mean([frames.back_projected(number, u, v) for number, (u, v) in marks.items()], axis=0)
        apart = [float(np.linalg.norm(thing.position - cups[cup])) for thing in found["cup"]]
        near = sum(each < 2 * _WITHIN for each in apart)
        rows.append([cup, min(apart, default=np.inf), near])
        report.bar(f"{cup}: m to its thing", min(apart, default=np.inf), at_most=_WITHIN)
        report.bar(f"{cup}: is one thing", near == 1)
    report.table("cups", ["cup", "m to the nearest thing", "things within 0.3 m"], rows)
    told = [
        [w, *t.position.round(2).tolist(), t.present, t.hits, t.looks] for w, things in found.items() for t in things
    ]
    report.table("things", ["kind", "x", "y", "z", "present", "hits", "looks"], told)
    _draw(frames, found, cups, ROOT / "runs" / "objects" / "kitchen.png")
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
