"""The world as one triangle mesh in a ray caster, with the colour and the instance of every triangle."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError
from sim.house.shapes import Mesh
from sim.house.thing import Thing

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

_SUN = np.array([0.35, 0.5, 0.79])
_FILL = np.array([-0.6, -0.35, 0.4])


def _open3d() -> Any:
    try:
        return importlib.import_module("open3d")
    except (ImportError, OSError) as error:
        raise UnavailableError(
            f"The simulator needs Open3D, install open3d-cpu (and libgl1, libegl1): {error}"
        ) from error


class Scene:
    """Casts rays. `threads` 0 uses every core. Built anew when something moves, which takes milliseconds."""

    def __init__(self, structure: Mesh, things: Sequence[Thing], threads: int = 1) -> None:
        o3d = _open3d()
        self._core = o3d.core
        self.threads = threads
        meshes = [structure, *(thing.mesh.placed(thing.position, thing.yaw) for thing in things)]
        names = [0, *(thing.id for thing in things)]
        starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        triangles = np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)])
        corners = vertices[triangles].astype(np.float64)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        colours = np.concatenate([mesh.colours for mesh in meshes])
        # One row more than there are triangles: what a ray that hits nothing gets.
        self.triangle_colours = np.concatenate([_lit(colours, normals), np.zeros((1, 3), np.float32)])
        instances = np.repeat(names, [len(mesh.triangles) for mesh in meshes])
        self.triangle_instances = np.append(instances, 0).astype(np.int32)
        self._cast = o3d.t.geometry.RaycastingScene(nthreads=threads)
        self._cast.add_triangles(
            o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
            o3d.core.Tensor(np.ascontiguousarray(triangles, dtype=np.uint32)),
        )

    def cast(self, rays: Float32Array) -> tuple[Float32Array, NDArray[np.uint32]]:
        """(n, 6) origins and directions -> (n,) distance in lengths of the direction (inf: none), (n,) triangle.

        A ray that hits nothing has a triangle number beyond the last one.
        """
        answer = self._cast.cast_rays(self._core.Tensor(rays), nthreads=self.threads)
        return answer["t_hit"].numpy(), answer["primitive_ids"].numpy()

    def distance(self, points: FloatArray) -> FloatArray:
        """(n, 3) -> (n,) metres to the nearest surface."""
        tensor = self._core.Tensor(np.ascontiguousarray(points, dtype=np.float32))
        return np.asarray(self._cast.compute_distance(tensor, nthreads=self.threads).numpy(), dtype=np.float64)

    def sees(self, eyes: FloatArray, targets: FloatArray) -> NDArray[np.bool_]:
        """(v, 3) and (t, 3) -> (v, t): nothing stands between the eye and the target."""
        rays = np.empty((len(eyes), len(targets), 6), dtype=np.float32)
        rays[..., :3] = eyes[:, None]
        rays[..., 3:] = targets[None] - eyes[:, None]
        blocked = self._cast.test_occlusions(self._core.Tensor(rays), tfar=0.995, nthreads=self.threads)
        return ~np.asarray(blocked.numpy(), dtype=bool)


def _lit(colours: Float32Array, normals: FloatArray) -> Float32Array:
    """Two soft lights and an ambient one, so that the faces of a box differ."""
    light = 0.55 + 0.36 * np.clip(normals @ _SUN, 0, None) + 0.17 * np.clip(normals @ _FILL, 0, None)
    light -= 0.1 * np.clip(-normals[:, 2], 0, None)
    return np.clip(colours * light[:, None] * 255 * 1.12, 0, 255).astype(np.float32)
