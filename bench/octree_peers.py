"""The peers of bench/octree: OctoMap and Bonxai, each in a process that is told what to do, and Open3D's hash set."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.octree_stream import Stream

_SOURCES = Path(__file__).parent / "cpp"


class CppArm:
    """A C++ peer on the same scans and questions, in a process. `why` says what is missing where there is none."""

    name: str
    source: Path

    def __init__(self, folder: Path, stream: Stream, questions: list[NDArray[np.float32]], resolution: float) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.why = ""
        program = folder / self.source.stem
        if not program.exists():
            self.why = self.build(program)
        if self.why:
            return
        data = folder / f"{self.source.stem}.bin"
        with open(data, "wb") as file:
            file.write(np.int32(len(stream.scans)).tobytes())
            for origin, scan in zip(stream.origins, stream.scans, strict=True):
                file.write(origin.tobytes() + np.int32(len(scan)).tobytes() + scan.tobytes())
            for part in questions:
                file.write(np.int32(len(part)).tobytes() + np.ascontiguousarray(part, np.float32).tobytes())
        self._process = subprocess.Popen(
            [str(program), str(data), str(resolution)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def build(self, program: Path) -> str:
        """Compile the arm; why it could not be."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        return self._process is not None

    def ask(self, *words: Any) -> list[float]:
        """Numbers in answer to a command; the first is thread CPU time in nanoseconds."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        while True:  # the library talks, too
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"The arm of {self.name} ended while it was asked {words}.")
            try:
                return [float(word) for word in line.split()]
            except ValueError:
                continue

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


class OctoMapArm(CppArm):
    """Debian's OctoMap.

    Multiplications and additions are not fused: OctoMap's templates would then round otherwise than Debian's library.
    """

    name = "OctoMap"
    source = _SOURCES / "octomap_arm.cpp"

    def build(self, program: Path) -> str:
        options = ["-ffp-contract=off", "-loctomap", "-loctomath"]
        return _compile(self.source, program, options, "liboctomap-dev is not installed")


class BonxaiArm(CppArm):
    """Bonxai's core, whose headers lie in the folder that BONXAI_INCLUDE names (bonxai_core/include of its sources)."""

    name = "Bonxai"
    source = _SOURCES / "bonxai_arm.cpp"

    def build(self, program: Path) -> str:
        headers = os.environ.get("BONXAI_INCLUDE", "")
        if not (Path(headers) / "bonxai" / "bonxai.hpp").exists():
            return "BONXAI_INCLUDE names no folder with bonxai/bonxai.hpp"
        return _compile(self.source, program, ["-std=c++17", "-I", headers], f"it does not compile against {headers}")


def _compile(source: Path, program: Path, options: list[str], otherwise: str) -> str:
    compiler = shutil.which("g++")
    if compiler is None:
        return "g++ is not installed"
    built = subprocess.run(
        [compiler, "-O3", "-DNDEBUG", "-march=native", "-o", program, source, *options], capture_output=True, text=True
    )
    return "" if built.returncode == 0 else otherwise


class Open3DArm:
    """Open3D's hash set of voxel keys, the part of it that a map of voxels can be built on."""

    def __init__(self, resolution: float) -> None:
        self.why = "" if importlib.util.find_spec("open3d") else "open3d is not installed"
        self._resolution = resolution
        if not self.why:
            import open3d as o3d

            self._core = o3d.core
            self._set = o3d.core.HashSet(1 << 16, o3d.core.int32, o3d.core.SizeVector((3,)), o3d.core.Device("CPU:0"))

    def __bool__(self) -> bool:
        return not self.why

    def insert(self, points: NDArray[np.float32]) -> float:
        """CPU seconds, of all of its threads."""
        begin = time.process_time()
        self._set.insert(self._keys(points))
        return time.process_time() - begin

    def find(self, points: NDArray[np.float32]) -> float:
        keys = self._keys(points)
        begin = time.process_time()
        self._set.find(keys)
        return time.process_time() - begin

    def _keys(self, points: NDArray[np.float32]) -> Any:
        tensor = self._core.Tensor.from_numpy(points)
        return (tensor / self._resolution).floor().to(self._core.int32)
