"""A real kitchen through the command line: replay, then "where is a cup?", judged against cups marked by hand.

The marks below are pixels on two mugs in the *depth* images of 7-Scenes (the poses are those of the depth camera, and
the colour pictures are not registered to it: a mug lies up to 36 pixels apart in the two). Back-projected with depth
and pose they say where the near sides of the mugs are. The answer is drawn into frames, in runs/kitchen/.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT, Options, Report, parse

_SOURCE = "Frames: Microsoft 7-Scenes (research use only). Detector: NanoDet on COCO, MIT."
_QUESTION = "where is a cup?"
_WITHIN = 0.2  # metres
_PICTURES = ROOT / "runs" / "kitchen"
# frame number -> pixel u, v of the depth image, by cup
MARKS: dict[str, dict[int, tuple[int, int]]] = {
    "white mug": {0: (400, 178), 240: (249, 347), 600: (406, 349)},
    "patterned mug": {280: (579, 351), 360: (297, 246), 880: (529, 372)},
}

FloatArray = NDArray[np.float64]


class Frames:
    """The frame folder, read here once more without the code that is judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.k = np.loadtxt(folder / "camera-intrinsics.txt")

    def depth(self, number: int) -> FloatArray:
        """(h, w) metres, NaN where there is none."""
        from PIL import Image

        raw = np.asarray(Image.open(self._file(number, "depth.png"))).astype(np.float64)
        return np.where((raw == 0) | (raw == 65535), np.nan, raw / 1000)

    def color(self, number: int) -> Any:
        from PIL import Image

        return Image.open(self._file(number, "color.jpg")).convert("RGB")

    def pose(self, number: int) -> FloatArray:
        """(4, 4) camera to world, optical frame."""
        return np.loadtxt(self._file(number, "pose.txt"))

    def back_projected(self, number: int, u: int, v: int) -> FloatArray:
        """(3,) the point at a pixel, by the median depth of the 7 x 7 pixels around it."""
        z = float(np.nanmedian(self.depth(number)[v - 3 : v + 4, u - 3 : u + 4]))
        local = np.array([(u - self.k[0, 2]) / self.k[0, 0] * z, (v - self.k[1, 2]) / self.k[1, 1] * z, z, 1.0])
        return np.asarray((self.pose(number) @ local)[:3], dtype=np.float64)

    def projected(self, number: int, point: FloatArray) -> tuple[float, float] | None:
        """Pixel u, v of a point; None outside the picture."""
        x, y, z = (np.linalg.inv(self.pose(number)) @ np.append(point, 1.0))[:3]
        u, v = self.k[0, 0] * x / z + self.k[0, 2], self.k[1, 1] * y / z + self.k[1, 2]
        return (float(u), float(v)) if z > 0.1 and 0 <= u < 640 and 0 <= v < 480 else None

    def _file(self, number: int, end: str) -> Path:
        return self.folder / f"frame-{number:06d}.{end}"


def command(*words: object) -> dict[str, Any]:
    """What `embodied-mem` prints with --json."""
    line = [sys.executable, "-m", "embodied_mem", *map(str, words), "--json", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(line)} failed with {done.returncode}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def run(options: Options) -> int:
    report = Report("kitchen", options, packages=("onnxruntime",))
    data = Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data")
    if not (data / "rgbd_7scenes").is_dir():
        report.bar("kitchen cup within 0.2 m", None, at_most=_WITHIN, why_open=f"{data} is not here")
        return report.finish()
    report.note(_SOURCE)
    frames = Frames(data / "rgbd_7scenes")
    cups = _cups(report, frames)
    recordings = {"bag of 24 frames": data / "bags" / "7scenes_kitchen", "125 frames": data / "rgbd_7scenes"}
    if options.quick:
        del recordings["125 frames"]
    rows = []
    for name, recording in recordings.items():
        answer, figures = _asked(data, recording)
        position = np.array(answer["pose"]["position"]) if answer["found"] else np.full(3, np.nan)
        apart = {cup: float(np.linalg.norm(position - place)) for cup, place in cups.items()}
        nearest = min(apart, key=lambda cup: apart[cup])
        report.note(f"\n{name}: {answer['sentence']}")
        rows.append([name, *figures, nearest, apart[nearest], answer["probability"]])
        report.bar(f"kitchen cup within 0.2 m ({name})", apart[nearest], at_most=_WITHIN)
        if answer["found"]:
            last = re.sub(r"\W+", "_", name)
            _draw(frames, cups, nearest, position, answer, _PICTURES / f"cup_{last}.png")
    columns = ["recording", "records", "replay s", "ask s", "nearest cup", "m from it", "probability"]
    report.table(f"{_QUESTION!r}", columns, rows)
    return report.finish()


def _cups(report: Report, frames: Frames) -> dict[str, FloatArray]:
    """Where each cup is: the middle of its marks."""
    cups, rows = {}, []
    for cup, marks in MARKS.items():
        points = np.array([frames.back_projected(number, u, v) for number, (u, v) in marks.items()])
        cups[cup] = points.mean(axis=0)
        spread = float(np.linalg.norm(points - cups[cup], axis=1).max())
        rows.append([cup, ", ".join(map(str, marks)), *cups[cup].round(3).tolist(), spread])
    report.table("cups marked by hand", ["cup", "frames", "x", "y", "z", "farthest mark m"], rows)
    return cups


def _asked(data: Path, recording: Path) -> tuple[dict[str, Any], list[float]]:
    """The answer, and records, seconds of the replay and of the question."""
    detector = data / "perception" / "nanodet_coco80.onnx"
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        replayed = command("replay", recording, "--detector", detector, "--memory", folder)
        between = time.perf_counter()
        answer = command("ask", _QUESTION, "--memory", folder, "--now", "last")
        return answer, [replayed["admitted"], between - begin, time.perf_counter() - between]


def _draw(
    frames: Frames, cups: dict[str, FloatArray], nearest: str, position: FloatArray, answer: dict[str, Any], path: Path
) -> None:
    """The answer (red ring of 10 cm) and the marked cups (green crosses) in colour and depth: where the nearest cup was
    marked, and in the newest picture that the answer rests on.
    """
    from PIL import Image, ImageDraw

    stamps = [evidence["stamp_ns"] for evidence in answer["evidence"]]
    newest = round((max(stamps) - 1_700_000_000_000_000_000) * 30e-9)
    numbers = dict.fromkeys([*MARKS[nearest], newest])
    sheet = Image.new("RGB", (640 * len(numbers), 2 * 480))
    for column, number in enumerate(numbers):
        near = np.nan_to_num(np.clip(1 - frames.depth(number) / 4, 0, 1) * 255).astype(np.uint8)
        for row, picture in enumerate((frames.color(number), Image.fromarray(near).convert("RGB"))):
            draw = ImageDraw.Draw(picture)
            for place in cups.values():
                if (pixel := frames.projected(number, place)) is not None:
                    u, v = pixel
                    draw.line([(u - 8, v), (u + 8, v)], fill=(0, 255, 0), width=2)
                    draw.line([(u, v - 8), (u, v + 8)], fill=(0, 255, 0), width=2)
            if (pixel := frames.projected(number, position)) is not None:
                u, v = pixel
                away = float(np.linalg.norm(position - frames.pose(number)[:3, 3]))
                r = 0.05 * frames.k[0, 0] / away
                draw.ellipse([u - r, v - r, u + r, v + r], outline=(255, 0, 0), width=3)
            kind = ("colour, not registered to depth", "depth")[row]
            draw.text((8, 8), f"frame {number} ({kind}): {answer['sentence']}", fill=(255, 255, 0))
            sheet.paste(picture, (640 * column, 480 * row))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    print(f"drawn: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
