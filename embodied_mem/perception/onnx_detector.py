"""Object detectors from ONNX files: NanoDet (class maps and distance distributions) and YOLO (v8 and later) outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.perception.detector import Boxes2D

FloatArray = NDArray[np.float64]
Decoder = Callable[[Sequence[FloatArray], int], tuple[FloatArray, FloatArray]]

_NANODET_MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)  # BGR
_NANODET_STD = np.array([57.375, 57.12, 58.395], dtype=np.float32)
_STRIDES = (8, 16, 32)


class OnnxDetector:
    """A detector from an ONNX model whose output form is recognised.

    model      path of the .onnx file
    names      path of a text file with a class name a line
    min_score  below which boxes are dropped; overlap: IoU above which the weaker of two boxes of a class is dropped
    threads    of ONNX Runtime

    Raises UnavailableError without onnxruntime, BadInputError for files that cannot be read or an unknown output form.
    """

    def __init__(
        self,
        model: str | Path,
        names: str | Path,
        *,
        min_score: float = 0.4,
        overlap: float = 0.5,
        threads: int = 1,
    ) -> None:
        self._session = _session(Path(model), threads)
        self._names = _class_names(Path(names))
        self._min_score, self._overlap = min_score, overlap
        entry = self._session.get_inputs()[0]
        self._input, self._side = entry.name, int(entry.shape[2])
        shapes = [tuple(output.shape) for output in self._session.get_outputs()]
        self._nanodet = len(shapes) == 6
        if not self._nanodet and (len(shapes) != 1 or len(shapes[0]) != 3):
            raise BadInputError(f"{model} has outputs of the shapes {shapes}: neither NanoDet's nor YOLO's form.")
        self.name = Path(model).stem

    @property
    def classes(self) -> tuple[str, ...]:
        return self._names

    def detect(self, rgb: NDArray[np.uint8]) -> Boxes2D:
        """Boxes of an image (h, w, 3) RGB, strongest first."""
        tensor, scale, offset = _letterbox(rgb, self._side)
        normal = (tensor[:, :, ::-1] - _NANODET_MEAN) / _NANODET_STD if self._nanodet else tensor / 255
        outputs = self._session.run(
            None, {self._input: np.ascontiguousarray(normal.transpose(2, 0, 1)[None], dtype=np.float32)}
        )
        decode = decode_nanodet if self._nanodet else decode_yolo
        scores, boxes = decode([np.asarray(out, dtype=np.float64) for out in outputs], self._side)
        if scores.shape[1] != len(self._names):
            raise BadInputError(f"The model has {scores.shape[1]} classes, the names file {len(self._names)}.")
        label, strength = scores.argmax(axis=1), scores.max(axis=1)
        kept = np.flatnonzero(strength >= self._min_score)
        kept = kept[suppress(boxes[kept], strength[kept], label[kept], self._overlap)]
        placed = (boxes[kept] - np.tile(offset, 2)) / scale
        limits = np.array([rgb.shape[1], rgb.shape[0]] * 2, dtype=np.float64)
        return Boxes2D(tuple(self._names[i] for i in label[kept]), strength[kept], np.clip(placed, 0, limits))


def decode_nanodet(outputs: Sequence[FloatArray], side: int) -> tuple[FloatArray, FloatArray]:
    """Class maps (1, cells, classes), already sigmoid, and distances (1, cells, 4 x bins), three each.

    A distance to a side is the expectation over its bins, in strides (generalised focal loss, Li et al. 2020).
    """
    scores = np.concatenate([out[0] for out in outputs[:3]])
    boxes = []
    for out, stride in zip(outputs[3:], _STRIDES, strict=True):
        across = -(-side // stride)
        logits = out[0].reshape(-1, 4, out.shape[2] // 4)
        shares = np.exp(logits - logits.max(axis=2, keepdims=True))
        distances = (shares / shares.sum(axis=2, keepdims=True)) @ np.arange(shares.shape[2]) * stride
        rows, cols = np.divmod(np.arange(len(logits)), across)
        centers = np.column_stack([(cols + 0.5) * stride, (rows + 0.5) * stride])
        boxes.append(np.column_stack([centers - distances[:, :2], centers + distances[:, 2:]]))
    return scores, np.concatenate(boxes)


def decode_yolo(outputs: Sequence[FloatArray], side: int) -> tuple[FloatArray, FloatArray]:
    """One map (1, 4 + classes, cells), or its transpose, of centre, size and class scores: scores and boxes."""
    table = outputs[0][0]
    table = table.T if table.shape[0] < table.shape[1] else table
    half = table[:, 2:4] / 2
    return table[:, 4:], np.column_stack([table[:, :2] - half, table[:, :2] + half])


def suppress(boxes: FloatArray, scores: FloatArray, labels: NDArray[np.intp], overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class: indices of the boxes that stay, strongest first."""
    order = np.argsort(-scores, kind="stable")
    boxes, labels = boxes[order], labels[order]
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    corner = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.maximum(corner, 0), axis=2)
    rivals = shared / np.maximum(area[:, None] + area[None] - shared, 1e-9) > overlap
    rivals &= labels[:, None] == labels[None]
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~rivals[i, i + 1 :]
    return order[alive]


def _session(model: Path, threads: int):  # type: ignore[no-untyped-def]
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError("A detector needs onnxruntime: pip install embodied_mem[models].") from error
    if not model.is_file():
        raise BadInputError(f"There is no detector model at {model}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds
        raise BadInputError(f"{model} is not an ONNX model ({str(error).splitlines()[0][:120]}).") from error


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        names = tuple(line.strip().lower() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"The class names in {path} cannot be read ({error}).") from error
    if not names:
        raise BadInputError(f"{path} names no class.")
    return names


def _letterbox(rgb: NDArray[np.uint8], side: int) -> tuple[NDArray[np.float32], float, FloatArray]:
    """The image in the middle of a grey square: float32 (side, side, 3), its scale, and its offset in pixels."""
    from PIL import Image

    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    offset = np.array([(side - size[0]) // 2, (side - size[1]) // 2])
    square = np.full((side, side, 3), 114, dtype=np.float32)
    square[offset[1] : offset[1] + size[1], offset[0] : offset[0] + size[0]] = small
    return square, scale, offset.astype(np.float64)
