"""How the nodes are set up around a robot that is not there: the simulated one, or one that left a recording."""

from __future__ import annotations

from math import radians
from pathlib import Path
from typing import Any

Parameters = dict[str, dict[str, Any]]


def simulated_parameters(memory: Path, seed: int, *, config: Path | None = None, lock_step: bool = False) -> Parameters:
    """Parameters by node for a robot in the house of `seed`.

    config     a YAML file with settings of the house (sim.house.config.SimConfig)
    lock_step  the next frame follows as soon as the last one is remembered, however fast or slow that is
    Raises BadInputError, NotFoundError for the settings, UnavailableError when the simulator is not installed.
    """
    from embodied_mem.errors import UnavailableError

    try:
        from sim.house.config import SimConfig
    except ImportError as error:
        raise UnavailableError(f"The simulated house is not installed ({error}): run `make setup`.") from None
    settings = SimConfig.load(config) if config is not None else SimConfig()
    camera = settings.camera
    return {
        "record": {"memory": str(memory)},
        "perception": {
            "external_detections": True,
            "reliability": "reliable",
            "mount": f"{camera.forward} 0 {camera.height} 0 {radians(camera.pitch_deg):.6f} 0",
            "max_range": camera.max_depth,
        },
        "sim": {
            "seed": seed,
            "real_time_factor": 0.0 if lock_step else 1.0,
            "config": str(config) if config is not None else "",
        },
    }


def played_parameters(memory: Path, frames: Path, *, lock_step: bool = False) -> Parameters:
    """Parameters by node for playing a folder of RGB-D frames; `lock_step` as in simulated_parameters.

    Raises BadInputError when the folder holds no frames.
    """
    from embodied_mem.perception.readers.folder import FrameFolder

    FrameFolder(frames)
    return {
        "record": {"memory": str(memory)},
        "perception": {"reliability": "reliable"},
        "sim": {"world": "frames", "frames": str(frames.resolve()), "real_time_factor": 0.0 if lock_step else 1.0},
    }


def street_parameters(memory: Path, street: Path | None, seed: int, *, lock_step: bool = False) -> Parameters:
    """Parameters by node for a patrol through a city; `lock_step` as in simulated_parameters.

    street  the folder with graph/ and osm/; None: touchdown/ in $EMBODIED_MEM_DATA
    Raises NotFoundError with what to do when the data is not there.
    """
    from sim.street.data import street_folder

    folder = street_folder(street or "").resolve()
    return {
        "record": {"memory": str(memory)},
        "perception": {},
        "sim": {
            "world": "street", "street": str(folder), "seed": seed, "real_time_factor": 0.0 if lock_step else 1.0,
        },
    }  # fmt: skip
