"""Makes the checkpoints that come with the package: `python -m embodied_mem.episodes.train reader` (or `rule`).

Needs torch: pip install 'embodied_mem[torch,models]'. Each takes a minute or so of one core, and is written beside the
package's code, unless --out names another folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.episodes import weights

if TYPE_CHECKING:
    from embodied_mem.episodes.model import Reader
    from embodied_mem.episodes.training import Curve

READER, RULE = "reader", "rule"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=(READER, RULE), help="the reader, or the rule of forgetting (it needs a reader)"
    )
    parser.add_argument("--seed", type=int, default=0, help="everything that is random follows from it")
    parser.add_argument("--steps", type=int, default=None, help="of training at most")
    parser.add_argument("--curve", type=Path, default=None, help="picture of the training, to be written there")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="folder of the checkpoints")
    given = parser.parse_args(arguments)
    try:
        import torch
    except ImportError:
        print("Training needs torch: pip install 'embodied_mem[torch,models]'.", file=sys.stderr)
        return 1
    torch.set_num_threads(1)
    curve = (_reader if given.what == READER else _rule)(given.seed, given.steps, given.out)
    print(f"{given.what}: accuracy {curve.accuracy[-1]:.3f} while training, {curve.cpu_s:.0f} CPU s")
    if given.curve is not None:
        _plot(curve, given.curve, given.what)
    return 0


def reader_of(found: weights.Weights, facts: dict[str, Any]) -> Reader:
    """The trainable reader of a checkpoint, as `weights.load` gives it."""
    import torch

    from embodied_mem.episodes.model import Reader
    from embodied_mem.episodes.shape import ReaderShape

    reader = Reader(ReaderShape.of(facts["shape"]))
    reader.load_state_dict({name: torch.from_numpy(value) for name, value in found.items()})
    return reader


def _reader(seed: int, steps: int | None, out: Path) -> Curve:
    from embodied_mem.episodes.model import described, weights_of
    from embodied_mem.episodes.shipping import shipped_reader

    reader, curve = shipped_reader(seed, steps or 1000)
    facts = {"shape": described(reader), "seed": seed, "curve": asdict(curve)}
    weights.save(out / f"{READER}.safetensors", READER, weights_of(reader), facts)
    return curve


def _rule(seed: int, steps: int | None, out: Path) -> Curve:
    from embodied_mem.episodes import recipes
    from embodied_mem.episodes.allocator import FEATURES

    reader = reader_of(*weights.load(out / f"{READER}.safetensors", READER))
    rule, curve = recipes.patrol_rule(reader, seed, steps or 120)
    facts = {"features": list(FEATURES), "seed": seed, "curve": asdict(curve)}
    weights.save(out / f"{RULE}.safetensors", RULE, {"weights": rule}, facts)
    return curve


def _plot(curve: Curve, path: Path, title: str) -> None:
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure: Any
    figure, left = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    left.plot(curve.steps, curve.loss, color="tab:red")
    left.set(xlabel="step", ylabel="loss", title=title)
    left.twinx().plot(curve.steps, curve.accuracy, color="tab:blue")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
