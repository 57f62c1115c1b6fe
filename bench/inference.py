"""MiniLM in few bits: how near its vectors stay to the source's, what is found with them, how fast it runs on a CPU.

Variants are calibrated on made-up captions, and judged on the 3,313 street captions of CMU-500, on which nothing was
tuned. Recall@10: the first eight words of a caption are the query, and that caption must be among the ten best. GPU
kernels are not part of this: see docs/inference.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT, Options, Report, measure, parse
from bench.inference_arms import peers
from embodied_mem.inference import minilm
from embodied_mem.inference.bert import BertWeights, Encoder
from embodied_mem.inference.bert_lowbit import LowBitOnnxEncoder
from embodied_mem.inference.bert_quantized import QuantizedBert, from_artefact, names
from embodied_mem.inference.calibrate import NEAREST, quantize_bert
from embodied_mem.inference.minilm_lowbit import VARIANTS, WORDS, calibration, make
from embodied_mem.inference.quantize.artefact import Artefact
from embodied_mem.inference.quantize.budget import allocate
from embodied_mem.inference.quantize.captions import made_captions
from embodied_mem.inference.quantize.packing import pack, unpack
from embodied_mem.inference.quantize.tensor import Scheme
from embodied_mem.inference.quantize.types import all_types, lowbit
from embodied_mem.inference.sensitivity import sensitivity

_FILE = Path("cmu500") / "streetview_graph.gml"
_SEED = 11
_SAMPLE = 200  # captions on which every type is judged
_QUERIES = 1000
_QUERY_WORDS = 8
_K = 10
_TYPES = ("int8", "fp8_e4m3", "int7", "int6", "fp6_e2m3", "fp6_e3m2", "int5", "fp5_e2m2", "int4", "fp4_e2m1", "int3")
_SENTENCE = "I see a mug on the table and two chairs next to the window in the kitchen."
_WIDTHS = ("int3", "int4", "int5", "int6", "int8")
Vectors = NDArray[np.float32]


def street_captions() -> list[str] | None:
    """Every caption of CMU-500, or None where the data are not."""
    from embodied_mem.perception.readers.captions import CaptionFile

    data = Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data") / _FILE
    return [observation.caption for observation in CaptionFile(data)] if data.is_file() else None


def cosines(ours: Vectors, true: Vectors) -> NDArray[np.float64]:
    return np.asarray(np.einsum("nd,nd->n", ours.astype(np.float64), true))


def found(vectors: Vectors, queries: Vectors, targets: NDArray[np.intp], texts: list[str]) -> float:
    """Percent of the queries whose caption, or one with the same words, is among the ten best."""
    best = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :_K]
    same = np.unique(texts, return_inverse=True)[1]
    return float((same[best] == same[targets][:, None]).any(axis=1).mean() * 100)


def types_table(
    report: Report, source: BertWeights, tokenize: minilm.Tokenizer, texts: list[str], mixed: QuantizedBert
) -> None:
    """Round to nearest, groups of 128, words in 8 bits; and a mixture of widths."""
    true = minilm.embed_with(minilm.onnx_encoder(source), tokenize, texts)
    rows = []
    for name in (*_TYPES, "mixed, calibrated"):
        schemes = dict.fromkeys(names(source), Scheme(name)) if name in _TYPES else {}
        model = quantize_bert(source, WORDS, schemes, recipe=NEAREST) if schemes else mixed
        ours = minilm.embed_with(minilm.onnx_encoder(model.dequantized()), tokenize, texts)
        near = cosines(ours, true)
        rows.append(
            [name, lowbit(name).bits if schemes else None, model.nbytes / 1e6, float(near.mean()), float(near.min())]
        )
    report.table(f"rounded to nearest, {len(texts)} captions", ["type", "bits", "MB", "mean cosine", "lowest"], rows)


def judged(
    report: Report, models: dict[str, Encoder], tokenize: minilm.Tokenizer, texts: list[str]
) -> dict[str, dict[str, float]]:
    """Cosine and recall of each model over all captions; the first is the source."""
    rng = np.random.default_rng(_SEED)
    targets = rng.choice(len(texts), min(_QUERIES, len(texts)), replace=False)
    asked = [" ".join(texts[target].split()[:_QUERY_WORDS]) for target in targets]
    results: dict[str, dict[str, float]] = {}
    true: Vectors | None = None
    for name, encode in models.items():
        begin = time.process_time()
        vectors = minilm.embed_with(encode, tokenize, texts)
        spent = time.process_time() - begin
        queries = minilm.embed_with(encode, tokenize, asked)
        true = vectors if true is None else true
        near = cosines(vectors, true)
        results[name] = {
            "mean": float(near.mean()), "p1": float(np.quantile(near, 0.01)), "lowest": float(near.min()),
            "recall": found(vectors, queries, targets, texts), "seconds": spent,
        }  # fmt: skip
        print(name, results[name], flush=True)
    report.table(
        f"all {len(texts)} captions, {len(asked)} queries",
        ["model", "mean cosine", "1st percentile", "lowest", "recall@10 %", "CPU s"],
        [[name, *result.values()] for name, result in results.items()],
    )
    return results


def speed(
    report: Report, arms: dict[str, Encoder], tokenize: minilm.Tokenizer, true: Encoder, quick: bool
) -> dict[str, tuple[float, float, float]]:
    """CPU ms of one sentence and of a batch of 32, and the lowest cosine in that batch, by arm."""
    batch = made_captions(32, _SEED)
    repeats = 3 if quick else 40
    one = measure({name: _embeds(arm, tokenize, [_SENTENCE]) for name, arm in arms.items()}, repeats, clock=_clock)
    many = measure(
        {name: _embeds(arm, tokenize, batch) for name, arm in arms.items()}, max(repeats // 3, 2), clock=_clock
    )
    expected = minilm.embed_with(true, tokenize, batch)
    figures = {
        name: (one[name].median_ms, many[name].median_ms, float(cosines(many[name].outputs[0], expected).mean()))
        for name in arms
    }
    base = figures.get("torch fp32")
    report.table(
        "one core, tokens included",
        ["arm", "sentence ms", "p95", "32 captions ms", "p95", "× torch, 1", "× torch, 32", "mean cosine"],
        [
            [
                name, single, one[name].quantile_ms(0.95), several, many[name].quantile_ms(0.95),
                base and base[0] / single, base and base[1] / several, near,
            ]
            for name, (single, several, near) in figures.items()
        ],
    )  # fmt: skip
    return figures


def _clock() -> float:
    return time.process_time()


def _embeds(encode: Encoder, tokenize: minilm.Tokenizer, texts: list[str]) -> Callable[[int], Any]:
    return lambda turn: minilm.embed_with(encode, tokenize, texts)


def exhaustive() -> int:
    """Values of all types that do not come back as they were, and codes that packing changes."""
    wrong = 0
    rng = np.random.default_rng(_SEED)
    for kind in all_types():
        finite = kind.values[np.isfinite(kind.values)]
        wrong += int((kind.decode(kind.encode(finite)) != finite).sum())
        codes = rng.integers(0, 2**kind.bits, 1003, dtype=np.uint8)
        wrong += int((unpack(pack(codes, kind.bits), kind.bits, len(codes)) != codes).sum())
    return wrong


def mixture(report: Report, source: BertWeights, tokenize: minilm.Tokenizer, folder: Path) -> Artefact:
    """Widths by sensitivity, in the bytes that int4 takes everywhere."""
    table = sensitivity(source, [Scheme(width) for width in _WIDTHS], calibration(tokenize, 16))
    report.table(
        "sensitivity: 1 - cosine, in thousandths, when one matrix alone is rounded",
        ["matrix", *_WIDTHS],
        [[f"{number}.{part}", *(cost.loss * 1e3 for cost in costs)] for (number, part), costs in table.items()],
    )
    budget = sum(cost.nbytes for costs in table.values() for cost in costs if cost.scheme.type == "int4")
    chosen = {name: cost.scheme for name, cost in allocate(table, budget).items()}
    report.figures["mixed widths"] = {f"{number}.{part}": item.type for (number, part), item in chosen.items()}
    return make("minilm-int4", folder / "mixed.safetensors", schemes=chosen)


def run(options: Options) -> int:
    report = Report(
        "inference", options, seeds={"queries": _SEED}, packages=("onnxruntime", "torch", "openvino", "tokenizers")
    )
    report.bar("values and codes of every type that do not come back", exhaustive(), at_most=0)
    place = minilm.model_folder()
    if place is None:
        report.bar("cosine of fp6_e2m3 over all captions", None, why_open="MiniLM is not installed")
        return report.finish()
    tokenize, source = minilm.Tokenizer(place), minilm.load_source(place)
    texts = None if options.quick else street_captions()
    variants = ["minilm-int8"] if options.quick else list(VARIANTS)
    models: dict[str, Encoder] = {}
    sizes: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in variants:
            begin = time.process_time()
            artefact = make(name, Path(folder) / f"{name}.safetensors")
            sizes[name] = (Path(folder) / f"{name}.safetensors").stat().st_size / 1e6
            model = from_artefact(artefact)
            models[name] = LowBitOnnxEncoder(model, VARIANTS[name].kind)
            if name == "minilm-fp6":
                models["minilm-fp6, weights only"] = minilm.onnx_encoder(model.dequantized())
            report.note(
                f"{name}: {sizes[name]:.2f} MB, made in {time.process_time() - begin:.0f} CPU s, {artefact.report}"
            )
        mixed = None if texts is None else from_artefact(mixture(report, source, tokenize, Path(folder)))
    arms, missing = peers(source)
    for sentence in missing:
        report.note(sentence)
    fp32 = arms["ONNX Runtime fp32"]
    timed = speed(report, {**arms, **models}, tokenize, fp32, options.quick)
    _speed_bars(report, timed, options.quick)
    if texts is None or mixed is None:
        why = "a quick run touches no evaluation data" if options.quick else "CMU-500 is not here"
        report.bar("MiniLM with fp6_e2m3 linears, 8-bit embeddings: cosine over all captions", None, why_open=why)
        return report.finish()
    sample = np.random.default_rng(_SEED).choice(len(texts), _SAMPLE, replace=False)
    types_table(report, source, tokenize, [texts[place] for place in sample], mixed)
    results = judged(report, {"source, fp32": fp32, **models}, tokenize, texts)
    _accuracy_bars(report, results, sizes)
    return report.finish()


def _speed_bars(report: Report, timed: dict[str, tuple[float, float, float]], quick: bool) -> None:
    why = "a quick run says nothing about speed" if quick else "" if "torch fp32" in timed else "torch is not installed"
    base, best = timed.get("torch fp32", (0.0, 0.0, 0.0)), timed["minilm-int8"]
    report.bar("CPU: one sentence, times torch fp32 (minilm-int8)", base[0] / best[0], at_least=2.5, why_open=why)
    report.bar("CPU: a batch of 32, times torch fp32 (minilm-int8)", base[1] / best[1], at_least=2.0, why_open=why)
    report.bar("CPU: cosine of that path", best[2], at_least=0.997)


def _accuracy_bars(report: Report, results: dict[str, dict[str, float]], sizes: dict[str, float]) -> None:
    recall = results["source, fp32"]["recall"]
    for name in ("minilm-fp6", "minilm-fp6, weights only"):
        title = "MiniLM with fp6_e2m3 linears, 8-bit embeddings" + (", weights only" if "," in name else "")
        report.bar(f"{title}: cosine over all captions", results[name]["mean"], at_least=0.997)
        report.bar(f"{title}: recall@10, points away", abs(results[name]["recall"] - recall), at_most=0.5)
    report.bar("MiniLM with fp6_e2m3 linears, 8-bit embeddings: file, MB", sizes["minilm-fp6"], at_most=21)
    report.bar("4 bits with calibration: cosine", results["minilm-int4"]["mean"], at_least=0.97)
    report.bar("3 bits with calibration: cosine", results["minilm-int3"]["mean"], at_least=0.90)
    report.bar("minilm-int8: cosine over all captions", results["minilm-int8"]["mean"], at_least=0.997)


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
