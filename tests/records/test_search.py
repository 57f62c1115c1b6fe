"""Search against brute force: the same records, filtered and ranked by plain Python in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.observation import Detections, Observation
from embodied_mem.records.query import Query, TimeRange
from tests.records.builders import START, observation

LABELS = ("mug", "chair", "plant", "lamp")
WIDTH = 8


@dataclass
class World:
    """Random records and the index that holds them."""

    observations: list[Observation]
    vectors: np.ndarray
    index: RecordIndex


def make_world(seed: int, count: int) -> World:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, WIDTH))
    vectors[rng.random(count) < 0.2] = vectors[0] if count else 0  # ties
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    observations = []
    for _ in range(count):
        n = int(rng.integers(0, 4))
        place = rng.uniform(-9, 9, 3) if rng.random() < 0.8 else rng.integers(-4, 4, 3) * 2.0  # cell borders too
        found = Detections(
            tuple(rng.choice(LABELS, n)),
            rng.random(n),
            place + rng.normal(0, 2, (n, 3)),
            np.full((n, 3), 0.2),
            np.zeros(n),
        )
        observations.append(
            observation(
                float(rng.integers(0, 50)), place, detections=found, map_id="m", robot_id=f"r{rng.integers(2)}",
                session_id=f"s{rng.integers(3)}",
            )
        )  # fmt: skip
    index = RecordIndex()
    entries = [Entry(i + 1, Kind.OBSERVATION, obs.stamp_ns, observation=obs) for i, obs in enumerate(observations)]
    for start in range(0, count, 7):  # in uneven batches, as a log gives them
        index.apply(entries[start : start + 7])
    index.set_vectors(np.arange(1, count + 1), vectors.astype(np.float32), "test")
    return World(observations, vectors.astype(np.float32), index)


def passes(obs: Observation, query: Query) -> bool:
    def inside(point: np.ndarray) -> bool:
        if query.box is not None:
            return bool((point >= query.box[0]).all() and (point <= query.box[1]).all())
        if query.center is not None and query.radius is not None:
            step = point - query.center
            return float((step * step).sum()) <= query.radius**2
        return True

    if (query.robot_id and obs.robot_id != query.robot_id) or (query.session_id and obs.session_id != query.session_id):
        return False
    time = query.time or TimeRange()
    if (time.start_ns is not None and obs.stamp_ns < time.start_ns) or (
        time.end_ns is not None and obs.stamp_ns >= time.end_ns
    ):
        return False
    if not query.labels:
        return inside(obs.position)
    found = obs.detections
    return any(label in query.labels and inside(found.centers[i]) for i, label in enumerate(found.labels))


queries = st.builds(
    Query,
    box=st.one_of(
        st.none(),
        st.tuples(st.integers(-10, 4), st.integers(1, 8)).map(
            lambda corner: (np.full(3, float(corner[0])), np.full(3, float(corner[0] + corner[1])))
        ),
    ),
    time=st.one_of(
        st.none(),
        st.tuples(st.integers(0, 40), st.integers(1, 20)).map(
            lambda span: TimeRange(START + span[0] * 10**9, START + (span[0] + span[1]) * 10**9)
        ),
    ),
    labels=st.lists(st.sampled_from((*LABELS, "dragon")), max_size=2).map(tuple),
    robot_id=st.sampled_from(("", "r0", "r1", "r9")),
    session_id=st.sampled_from(("", "s0", "s2")),
    k=st.integers(1, 30),
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    query=queries,
    ranked=st.booleans(),
    floor=st.floats(-1, 0.9),
)
def test_query_equals_brute_force(seed: int, count: int, query: Query, ranked: bool, floor: float) -> None:
    world = make_world(seed, count)
    expected = [i for i, obs in enumerate(world.observations) if passes(obs, query)]
    if not ranked:
        found = world.index.search(query).seqs - 1
        stamps = [(-world.observations[i].stamp_ns, -i) for i in expected]
        assert found.tolist() == [-i for _, i in sorted(stamps)][: query.k]
        return
    raw = np.random.default_rng(seed + 1).normal(size=WIDTH)
    vector = (raw / np.linalg.norm(raw)).astype(np.float32)
    truth = world.vectors.astype(np.float64) @ vector.astype(np.float64)
    kept = sorted((i for i in expected if truth[i] >= floor), key=lambda i: -truth[i])[: query.k]
    matches = world.index.search(query, vector, floor)
    assert len(matches.seqs) == len(kept)
    assert np.allclose(matches.scores, truth[kept], atol=1e-6)
    assert set(matches.seqs - 1) <= set(expected)
    assert np.allclose(truth[matches.seqs - 1], matches.scores, atol=1e-6)
    assert len(set(matches.seqs.tolist())) == len(kept)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), center=st.tuples(*[st.integers(-8, 8)] * 3), radius=st.floats(0.5, 12))
def test_sphere_equals_brute_force(seed: int, center: tuple[int, int, int], radius: float) -> None:
    world = make_world(seed, 80)
    query = Query(center=np.array(center, dtype=np.float64), radius=radius, k=200)
    expected = {i + 1 for i, obs in enumerate(world.observations) if passes(obs, query)}
    assert set(world.index.search(query).seqs.tolist()) == expected


def test_near_record_is_a_sphere_around_it() -> None:
    world = make_world(5, 100)
    around = Query(center=world.observations[9].position, radius=4.0, k=100)
    near = Query(near_record=10, radius=4.0, k=100)
    assert set(world.index.search(near).seqs) == set(world.index.search(around).seqs)


@pytest.mark.parametrize("numbers", [(), (3,), (3, 9, 500), (0, -4)])
def test_numbers_restrict_exactly(numbers: tuple[int, ...]) -> None:
    world = make_world(6, 20)
    found = world.index.search(Query(seqs=numbers, k=20)).seqs.tolist()
    assert sorted(found) == [n for n in numbers if 1 <= n <= 20]


def test_a_label_with_a_place_means_the_detections_place() -> None:
    index = RecordIndex()
    found = Detections(
        ("mug", "mug"), np.array([0.5, 0.9]), np.array([[5.0, 0, 0], [0.2, 0, 0]]), np.ones((2, 3)), np.zeros(2)
    )
    index.apply([Entry(1, Kind.OBSERVATION, START, observation=observation(detections=found, map_id="m"))])
    far = index.search(Query(labels=("mug",), center=np.array([5.0, 0, 0]), radius=1.0))
    assert far.positions.tolist() == [[5.0, 0, 0]]
    assert not len(index.search(Query(labels=("mug",), center=np.array([-3.0, 0, 0]), radius=1.0)).seqs)


def test_explain_counts_each_filter() -> None:
    world = make_world(7, 50)
    text = world.index.search(Query(robot_id="r0", labels=("mug",), explain=True)).explanation
    robots = sum(obs.robot_id == "r0" for obs in world.observations)
    mugs = sum("mug" in obs.detections.labels for obs in world.observations)
    both = sum("mug" in obs.detections.labels and obs.robot_id == "r0" for obs in world.observations)
    assert "records: 50" in text and f"robot: {robots}" in text and f"label: {mugs}" in text
    assert text.endswith(f"all together: {both}")
