"""Which processes make up the stack, for `embodied-mem up`, the demo and the tests. No ROS is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.parameters import OF_ROS, build
from embodied_mem.nodes.settings import SETTINGS
from embodied_mem.nodes.supervisor import NodeProcess

# What perception needs to know of the simulated robot: its camera (sim.house.config.CameraConfig) and its detector.
OF_THE_SIMULATOR: dict[str, Any] = {
    "external_detections": True,
    "reliability": "reliable",
    "mount": "0.05 0 1.2 0 0.279253 0",
    "lidar_mount": "0 0 1.4 0 0 0",
    "scan_mount": "0 0 0.2 0 0 0",
}
# The same for recorded frames: odom is the camera's own pose, and boxes are those of perception's own detector, if any.
OF_RECORDED_FRAMES: dict[str, Any] = {"reliability": "reliable"}
# The same for streets: a level camera that sees far, and a model that describes each picture.
OF_THE_STREET: dict[str, Any] = {
    "external_detections": True,
    "external_captions": True,
    "reliability": "reliable",
    "mount": "0 0 1.5 0 0 0",
    "max_range": 45.0,
    "clouds": False,  # there is depth of what was detected, and of nothing else
}
# Panoramas of the street are mostly 10 m apart, but as near as 1.4 m, and here and there 40 m.
PLACES_OF_THE_STREET: dict[str, Any] = {"place_distance": 1.0, "place_step": 40.0}
# By the simulator's `world` and by node; config/worlds/ says the same to launch.
OF_WORLDS: dict[str, dict[str, dict[str, Any]]] = {
    "house": {"perception": OF_THE_SIMULATOR},
    "frames": {"perception": OF_RECORDED_FRAMES},
    "street": {"perception": OF_THE_STREET, "spatial": PLACES_OF_THE_STREET},
}
# In which they are brought up.
ORDER = ("inference", "record", "recall", "spatial", "object", "forest", "episode", "perception", "sim")


def stack(
    nodes: Sequence[str] = ("record", "recall", "perception"),
    *,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    namespace: str = "",
    use_sim_time: bool = False,
    parameter_files: Sequence[Path] = (),
    remaps: Mapping[str, Mapping[str, str]] | None = None,
    composed: bool = False,
) -> list[NodeProcess]:
    """The processes of these nodes and of the manager that brings them up.

    parameters  for each node by name, checked here; remaps likewise, topic -> topic. `composed`: all in one process,
                which needs no manager. Raises BadInputError for an unknown node or a bad parameter.
    """
    given = {name: dict(values) for name, values in (parameters or {}).items()}
    unknown = ({*nodes, *given} - {*SETTINGS}) | ({*nodes} - {*ORDER})
    if unknown:
        raise BadInputError(f"There is no node {sorted(unknown)[0]!r}: the nodes are {', '.join(ORDER)}.")
    ordered = [name for name in ORDER if name in nodes]
    if "sim" in nodes:
        world = OF_WORLDS.get(str(given.get("sim", {}).get("world", "house")), {})  # `build` refuses unknown ones
        for name in [name for name in world if name in nodes]:
            given[name] = {**world[name], **given.get(name, {})}
    given.setdefault("manager", {}).setdefault("nodes", ordered)
    for name in ordered:
        given.setdefault(name, {})
    for name, values in given.items():
        build(name, SETTINGS[name], values)
    files = [argument for file in parameter_files for argument in ("--params-file", str(file))]
    shared = [*files, *(["-r", f"__ns:={_absolute(namespace)}"] if namespace else [])]
    if composed:
        arguments = [*shared, *_arguments("stack:", {"nodes": ordered}, {})]
        for name in ordered:
            timing = {OF_ROS[0]: True} if use_sim_time and name != "sim" else {}
            arguments += _arguments(f"{name}:", {**given[name], **timing}, (remaps or {}).get(name, {}))
        return [NodeProcess("stack", "embodied_mem.nodes.stack_node", tuple(arguments))]
    processes = []
    for name in [*ordered, "manager"]:
        sim_time = use_sim_time and name not in ("sim", "manager")
        arguments = [*shared, *_timing(sim_time)]
        arguments += _arguments("", given[name], (remaps or {}).get(name, {}))
        processes.append(NodeProcess(name, f"embodied_mem.nodes.{name}_node", tuple(arguments)))
    return processes


def _arguments(prefix: str, values: Mapping[str, Any], remaps: Mapping[str, str]) -> list[str]:
    found = []
    for key, value in values.items():
        found += ["-p", f"{prefix}{key}:={_yaml(value)}"]
    for source, target in remaps.items():
        found += ["-r", f"{prefix}{source}:={target}"]
    return found


def _timing(use_sim_time: bool) -> list[str]:
    return ["-p", f"{OF_ROS[0]}:=true"] if use_sim_time else []


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, str | Path):
        return "'" + str(value).replace("'", "''") + "'"
    return repr(value)


def _absolute(namespace: str) -> str:
    return "/" + namespace.strip("/")
