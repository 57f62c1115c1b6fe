"""Commands about which detections are of one thing: kept, refused and undone like every other."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.commands import PartThings, UniteThings, from_json, to_json
from embodied_mem.records.memory import RecordMemory
from tests.records.builders import LetterEmbedder, detections, memory, observation


def _two(mem: RecordMemory) -> tuple[int, int]:
    found = detections(["mug", "chair"], [(1, 0, 0), (2, 0, 0)])
    return tuple(mem.remember(observation(20 * i, (i, 0, 0), f"look {i}", detections=found)).seq for i in range(2))  # type: ignore[return-value]


def test_they_are_kept_on_disk_and_can_be_undone(tmp_path: Path) -> None:
    mem = RecordMemory.open(tmp_path, LetterEmbedder())
    one, two = _two(mem)
    number = mem.change_things(UniteThings(((one, 0), (two, 0))))
    mem.change_things(PartThings(((one, 0), (one, 1))))
    mem.close()
    again = RecordMemory.open(tmp_path, LetterEmbedder())
    history = again.index.history
    assert [c.detections for c in history.live_of(UniteThings)] == [((one, 0), (two, 0))]
    assert [c.detections for c in history.live_of(PartThings)] == [((one, 0), (one, 1))]
    again.undo(number)
    assert not history.live_of(UniteThings) and history.live_of(PartThings)
    again.close()


@pytest.mark.parametrize("command", [UniteThings(((3, 1), (4, 0), (9, 2))), PartThings(((3, 1), (4, 0)))])
def test_they_are_read_back_as_written(command: UniteThings | PartThings) -> None:
    assert from_json(to_json(command)) == command


def test_what_is_not_there_is_refused() -> None:
    mem = memory()
    one, two = _two(mem)
    before = mem.watermark
    with pytest.raises(NotFoundError, match="has 2 detections"):
        mem.change_things(UniteThings(((one, 0), (two, 2))))
    with pytest.raises(NotFoundError, match="There is no record 99"):
        mem.change_things(PartThings(((one, 0), (99, 0))))
    with pytest.raises(BadInputError, match="two different detections"):
        mem.change_things(PartThings(((one, 0), (one, 0))))
    assert mem.watermark == before
