"""Start the nodes and keep them running: a dead one is started again. Ctrl-C stops them in order and leaves a usable
memory; a second start continues it.

    embodied-mem up                                   topics: image, depth, camera_info, odom
    embodied-mem up --sim --seed 3                    a robot that explores a simulated house
    embodied-mem up --sim --world street              a robot on patrol in a city (data: docs/street.md)
    embodied-mem up --frames kitchen/ --detector nanodet.onnx        recorded RGB-D frames, as they came
    embodied-mem up --detector nanodet.onnx --remap perception:image:=/camera/color/image_raw
    embodied-mem up --params my_robot.yaml --namespace robot1
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.console import Console
from embodied_mem.errors import BadInputError, UnavailableError

if TYPE_CHECKING:
    from embodied_mem.nodes.supervisor import Supervisor

HELP = "start the nodes and keep them running"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log", type=Path, dest="memory", default=argparse.SUPPRESS, metavar="FOLDER", help="the same as --memory")
    world = parser.add_mutually_exclusive_group()
    world.add_argument("--sim", action="store_true", help="with a simulated robot")
    world.add_argument("--frames", type=Path, metavar="FOLDER", help="with recorded RGB-D frames (7-Scenes layout)")
    add("--world", choices=("house", "street"), help="what is simulated (default house)")
    add("--street", type=Path, metavar="FOLDER", help="the city's data (default: touchdown/ in $EMBODIED_MEM_DATA)")
    add("--seed", type=int, default=1, help="of the simulated house or patrol (default 1)")
    add("--composed", action="store_true", help="all nodes in one process")
    add("--namespace", default="", metavar="NAME", help="namespace of the nodes")
    add(
        "--params", action="append", type=Path, default=[], metavar="FILE", help="a ROS parameter file; may be repeated"
    )
    add(
        "--remap",
        action="append",
        default=[],
        metavar="NODE:FROM:=TO",
        help="another topic for a node; may be repeated",
    )
    add("--detector", type=Path, metavar="ONNX", help="a model that finds things in the pictures")
    add("--names", type=Path, metavar="FILE", help="its classes, one a line (default: the .names file beside it)")
    add("--sim-time", action="store_true", help="take the time from /clock (a bag that is played)")
    add(
        "--logs",
        type=Path,
        metavar="FOLDER",
        help="where the nodes' output goes (default: logs/ in the memory's folder)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from embodied_mem.cli.backend import folder_of, is_held
    from embodied_mem.errors import StorageError
    from embodied_mem.nodes.stack import stack
    from embodied_mem.nodes.supervisor import Supervisor

    require_ros()
    folder = folder_of(args).resolve()
    if folder.is_dir() and is_held(folder):
        raise StorageError(f"The memory in {folder} is being written already: are the nodes running?")
    simulated = ["sim"] if args.sim or args.frames else []
    nodes = ("record", "recall", "spatial", "object", "forest", "perception", *simulated)
    processes = stack(
        nodes,
        parameters=_parameters(args, folder),
        namespace=args.namespace,
        use_sim_time=args.sim or args.sim_time or args.frames is not None,
        parameter_files=[_existing(path) for path in args.params],
        remaps=_remaps(args.remap),
        composed=args.composed,
    )
    logs = args.logs or folder / "logs"
    supervisor = Supervisor(processes, log_folder=logs, on_event=lambda name, what: console.note(f"{name} {what}"))
    console.note(f"Memory {folder}; nodes {', '.join(nodes)}; their output is in {logs}. Ctrl-C stops.")
    with supervisor:
        _wait_until_ready(supervisor, console)
        supervisor.wait()
    raise UnavailableError(f"A node could not be started; see {logs}.")


def _wait_until_ready(supervisor: Supervisor, console: Console) -> None:
    """Say so when every node was brought up (by the manager, or the stack that holds them), or return when one cannot
    be started."""
    from embodied_mem.nodes.onlooking import Watcher

    with Watcher() as watcher:
        while not any(watcher.health.get(name, {}).get("all_active") == str(True) for name in ("manager", "stack")):
            if supervisor.wait(0.0):
                return
            watcher.look(0.5)
    console.note("Ready: every node is active, and memory answers.")


def require_ros() -> None:
    """Raise UnavailableError where the nodes cannot run."""
    from importlib.util import find_spec

    for package, how in (("rclpy", "ROS 2"), ("embodied_mem_msgs", "the interfaces of this project")):
        if find_spec(package) is None:
            raise UnavailableError(
                f"The nodes need {package} ({how}), not installed here: run `make setup` or source your workspace. "
                "Commands on a folder (replay, ask, query ...) work without it."
            )


def _parameters(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"record": {"memory": str(folder)}, "perception": {}}
    if (args.world or args.street) and not args.sim:
        raise BadInputError("--world and --street say what is simulated: add --sim.")
    if args.street is not None and args.world != "street":
        raise BadInputError("--street is the data of a city: add --world street.")
    if args.world == "street":
        from embodied_mem.cli.simulated import street_parameters

        found = street_parameters(folder, args.street, args.seed)
    elif args.sim:
        from embodied_mem.cli.simulated import simulated_parameters

        found = simulated_parameters(folder, args.seed)
    elif args.frames is not None:
        from embodied_mem.cli.simulated import played_parameters

        found = played_parameters(folder, args.frames)
    found["spatial"] = {"memory": str(folder)}
    if args.detector is not None:
        from embodied_mem.cli.sources import names_beside

        found["perception"]["detector"] = str(_existing(args.detector).resolve())
        found["perception"]["detector_names"] = str((args.names or names_beside(args.detector)).resolve())
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.")
    return path


def _remaps(given: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in given:
        names, _, target = item.partition(":=")
        node, _, source = names.partition(":")
        if not (node and source and target):
            raise BadInputError(f"--remap {item!r} is not NODE:FROM:=TO, such as perception:image:=/camera/image_raw.")
        found.setdefault(node, {})[source] = target
    return found
