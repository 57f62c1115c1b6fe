"""Make a variant of the sentence model in few bits, calibrated on made-up captions (half a minute of one core). Nodes
use it once it is there, by the parameter `embedder`.

    embodied-mem quantize minilm-fp6
    embodied-mem quantize minilm-int4 --budget 6.5      # megabytes for the layers: wider where it matters most
    embodied-mem quantize minilm-int8 --output models/minilm-int8.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError

if TYPE_CHECKING:
    from embodied_mem.inference.bert_quantized import Name
    from embodied_mem.inference.quantize.tensor import Scheme

HELP = "make the sentence model in few bits"

_WIDTHS = ("int3", "int4", "int5", "fp6_e2m3", "int8")
_SENSITIVITY_TEXTS = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "variant", help="minilm-int8 (fastest), minilm-fp6 (most faithful for its size), -int4 or -int3"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to; else where nodes look for it")
    parser.add_argument(
        "--budget", type=float, metavar="MB", help="megabytes for the layers: widths are chosen by sensitivity"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.inference.minilm_lowbit import make, variant_file

    if args.budget is not None and not args.budget > 0:
        raise BadInputError(f"A budget is above 0 MB, not {args.budget:g}.")
    file = args.output or variant_file(args.variant)
    chosen = None if args.budget is None else _mixture(int(args.budget * 1e6))
    artefact = make(args.variant, file, schemes=chosen)
    size, report = file.stat().st_size, artefact.report
    result: dict[str, Any] = {"name": artefact.name, "file": str(file), "bytes": size, "report": dict(report)}
    if chosen is not None:
        result["types"] = {f"{number}.{part}": scheme.type for (number, part), scheme in chosen.items()}
    console.result(
        result,
        f"Wrote {artefact.name} to {file}: {size / 1e6:.1f} MB; cosine to {artefact.source} "
        f"{report['cosine_mean']:.4f} on average, {report['cosine_min']:.4f} at least, on {report['texts']} captions.",
    )
    return Exit.OK


def _mixture(budget: int) -> dict[Name, Scheme]:
    from embodied_mem.inference import minilm
    from embodied_mem.inference.minilm_lowbit import calibration, source_folder
    from embodied_mem.inference.quantize.budget import allocate
    from embodied_mem.inference.quantize.tensor import Scheme
    from embodied_mem.inference.sensitivity import sensitivity

    folder = source_folder()
    batches = calibration(minilm.Tokenizer(folder), _SENSITIVITY_TEXTS)
    table = sensitivity(minilm.load_source(folder), [Scheme(width) for width in _WIDTHS], batches)
    return {name: cost.scheme for name, cost in allocate(table, budget).items()}
