"""Says what is installed where. Metadata, dependencies and the command `embodied-mem` stand in setup.cfg.

`ros2 run` looks for executables in lib/embodied_mem and `ros2 launch` for files in share/embodied_mem, under pip and
under colcon alike, so both are data files. `pip install -e` leaves data files out: tools/link_data.py links them.
"""

from glob import glob

from setuptools import find_packages, setup

NAME = "embodied_mem"

setup(
    python_requires=">=3.10",  # not in setup.cfg: colcon can't read what setuptools makes of it there
    packages=find_packages(include=[NAME, f"{NAME}.*", "sim", "sim.*"]),
    package_data={NAME: ["py.typed", "tokens/*.safetensors", "episodes/checkpoints/*.safetensors"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(glob("launch/*.launch.*"))),
        (f"share/{NAME}/config", sorted(glob("config/*.*"))),
        (f"share/{NAME}/config/worlds", sorted(glob("config/worlds/*.yaml"))),
        (f"lib/{NAME}", sorted(glob("scripts/*_node"))),
    ],
)
