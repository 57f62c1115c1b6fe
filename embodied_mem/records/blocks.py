"""Rows of the version table: made from observations and from commands, and read back as observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.history import State
from embodied_mem.records.observation import Detections, Observation, fingerprint
from embodied_mem.records.versions import NO_ROW, Block

if TYPE_CHECKING:
    from embodied_mem.records.index import RecordIndex


def block_of_observations(index: RecordIndex, seqs: NDArray[np.int64], found: Sequence[Observation]) -> Block:
    """First versions of records. Names, labels and views that are new to the index are added to it."""
    stamps = np.array([obs.stamp_ns for obs in found], dtype=np.int64)
    codes = [
        (index.map_names.code(obs.map_id), index.robots.code(obs.robot_id), index.sessions.code(obs.session_id))
        for obs in found
    ]
    seen = [obs.detections for obs in found]
    labels = index.labels_seen.codes(label.strip().lower() for each in seen for label in each.labels)
    return Block(
        seqs=seqs, valid_from=seqs, first_seen=stamps, last_seen=stamps,
        positions=np.array([obs.position for obs in found], dtype=np.float64),
        orientations=np.array([obs.orientation for obs in found], dtype=np.float64),
        codes=np.array(codes, dtype=np.int32), texts=seqs, views=index.views_seen.append([obs.view for obs in found]),
        prints=np.array([fingerprint(obs) for obs in found], dtype=np.int64),
        owner=np.repeat(np.arange(len(found)), [len(each) for each in seen]).astype(np.int32),
        labels=np.array(labels, dtype=np.int32),
        scores=np.concatenate([each.scores for each in seen]), centers=np.concatenate([each.centers for each in seen]),
        sizes=np.concatenate([each.sizes for each in seen]), yaws=np.concatenate([each.yaws for each in seen]),
    )  # fmt: skip


def block_of_commands(index: RecordIndex, seqs: NDArray[np.int64], valid_from: int) -> Block:
    """New versions of records, from entry `valid_from` on: their observations with every live command applied."""
    table = index.table
    base = table.first_row.data[seqs]
    which, owner = table.detections_of(base)
    codes = table.codes.data[base]
    state = State(
        seqs=seqs, stamps=table.first_seen.data[base], maps=[index.map_names[code] for code in codes[:, 0]],
        positions=table.positions.data[base], orientations=table.orientations.data[base],
        texts=seqs.copy(), owner=owner,
        labels=[index.labels_seen[code] for code in table.labels.data[which]],
        centers=table.centers.data[which], yaws=table.yaws.data[which],
    )  # fmt: skip
    index.history.fold(state)
    return Block(
        seqs=seqs, valid_from=np.full(len(seqs), valid_from), first_seen=state.stamps,
        last_seen=table.last_seen.data[table.current_row.data[seqs]], positions=state.positions,
        orientations=state.orientations, codes=codes, texts=state.texts, views=table.views.data[base],
        prints=table.prints.data[base],
        owner=owner.astype(np.int32), labels=np.array(index.labels_seen.codes(state.labels), dtype=np.int32),
        scores=table.scores.data[which], centers=state.centers, sizes=table.sizes.data[which], yaws=state.yaws,
    )  # fmt: skip


def as_corrected(
    index: RecordIndex, rows: NDArray[np.int32], observations: Sequence[Observation], captions: Sequence[str]
) -> list[Observation]:
    """The observations as these versions say them: captions, poses and detections corrected."""
    table = index.table
    corrected = []
    with index.lock:
        for row, obs, caption in zip(rows.tolist(), observations, captions, strict=True):
            if table.previous.data[row] == NO_ROW:
                corrected.append(obs)
                continue
            own = slice(*table.spans.data[row])
            labels = tuple(index.labels_seen[code] for code in table.labels.data[own])
            detections = Detections(
                labels, table.scores.data[own].copy(), table.centers.data[own].copy(), table.sizes.data[own].copy(),
                table.yaws.data[own].copy(), obs.detections.vectors,
            )  # fmt: skip
            place, turn = table.positions.data[row].copy(), table.orientations.data[row].copy()
            corrected.append(replace(obs, caption=caption, position=place, orientation=turn, detections=detections))
    return corrected
