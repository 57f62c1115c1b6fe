"""Drive the robot through the simulated house without any node, and write what its drivers publish as a ROS 2 bag.

    embodied-mem simulate --record house.mcap
    embodied-mem replay house.mcap --memory runs/house
    embodied-mem ask "where is the mug?" --memory runs/house --now last

The bag holds compressed pictures, depth, poses with covariance and noisy detections; half-way things are moved. The
same seed and settings give the same run. For a robot among nodes use `embodied-mem up --sim`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit
from embodied_mem.errors import BadInputError, UnavailableError

if TYPE_CHECKING:
    from sim.house.simulator import HouseSimulator, SimFrame

HELP = "drive through the simulated house and record a bag"
_RATE = 2.0  # pictures a second: enough to see what is moved, and a few megabytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--record", type=Path, required=True, metavar="BAG", help="the bag to write, a .mcap file")
    add("--seed", type=int, default=1, help="of the house, its things, noise and events (default 1)")
    add(
        "--frames", type=int, metavar="N", help="stop after so many pictures (default: when the house is covered twice)"
    )
    add(
        "--rate",
        type=float,
        metavar="HZ",
        help=f"pictures a second of simulated time (default {_RATE:g}, or what --config says)",
    )
    add("--config", type=Path, metavar="FILE", help="YAML with settings of the house and its robot")


def run(args: argparse.Namespace, console: Console) -> int:
    path: Path = args.record.expanduser()
    if path.suffix.lower() != ".mcap":
        raise BadInputError(f"The bag must be a .mcap file, not {path.name}.")
    if args.frames is not None and args.frames < 1:
        raise BadInputError(f"--frames is 1 or more, not {args.frames}.")
    if args.seed < 0:
        raise BadInputError(f"--seed is 0 or more, not {args.seed}.")
    world = _world(args)
    from sim.record import write_bag

    count = write_bag(world, _frames(world, args.frames, console), path)
    size = path.stat().st_size
    moved = [event.sentence for event in world.events]
    shape = {"bag": str(path), "seed": args.seed, "frames": count, "bytes": size, "events": moved}
    lines = [f"{path}: {count:,} pictures, {size / 2**20:.1f} MB.", *(f"  {sentence}" for sentence in moved)]
    console.result(shape, lines)
    return Exit.OK


def _world(args: argparse.Namespace) -> HouseSimulator:
    """Raises UnavailableError where the simulator is not installed, BadInputError for settings."""
    from dataclasses import replace

    try:
        from sim.house.config import SimConfig
        from sim.house.simulator import HouseSimulator
    except ImportError as error:
        raise UnavailableError(f"The simulated house is not installed ({error}): run `make setup`.") from None
    config = SimConfig.load(args.config) if args.config is not None else SimConfig()
    rate = args.rate if args.rate is not None else (None if args.config is not None else _RATE)
    if rate is not None:
        config = replace(config, script=replace(config.script, frame_rate=rate))
    return HouseSimulator(config, args.seed)


def _frames(world: HouseSimulator, most: int | None, console: Console) -> Iterator[SimFrame]:
    bar = console.bar(100, "driving", "%")
    shown = count = 0
    try:
        while not world.done and (most is None or count < most):
            yield world.step()
            count += 1
            done = round(100 * (world.progress if most is None else max(world.progress, count / most)))
            bar.update(done - shown)
            shown = done
    finally:
        bar.close()
