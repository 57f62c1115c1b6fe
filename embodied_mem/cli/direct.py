"""Commands that open the memory folder themselves."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.embedding import DeferredEmbedder
from embodied_mem.cli.filters import Where
from embodied_mem.cli.shape import Shape, answer_shape, described_shape, hit_shape
from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query

_DAY_NS = 86_400_000_000_000
_SAMPLE = 20  # records shown of what would be forgotten


class DirectBackend:
    """See backend.Backend. `now`: None = the clock, "last" = the newest record's time, else a time."""

    def __init__(self, folder: Path, *, read_only: bool, now: str | None = None) -> None:
        self.folder = folder
        self.memory = RecordMemory.open(folder, read_only=read_only)
        self.memory.embedder = DeferredEmbedder(self.memory.index.model)
        self.memory.clock = lambda: self._now_ns(now)

    @property
    def source(self) -> str:
        return str(self.folder)

    def ask(self, question: str, *, map_id: str, robot: tuple[float, ...] | None, as_of: int | None) -> Shape:
        import numpy as np

        from embodied_mem.recall.recall import Recall

        here = None if robot is None else np.array(robot)
        answer = Recall(self.memory).ask(question, robot_position=here, map_id=map_id, as_of=as_of)
        return answer_shape(answer)

    def query(self, text: str | None, where: Where, *, k: int, min_score: float | None, explain: bool) -> Shape:
        query = self._typed(where, text=text, k=k, min_score=min_score, explain=explain)
        result = self.memory.query(query)
        return {
            "found": result.found,
            "reason": result.reason,
            "exact": result.exact,
            "model": result.model,
            "watermark": result.watermark,
            "explanation": result.explanation,
            "hits": [hit_shape(hit) for hit in result.hits],
        }

    def locate(self, label: str, where: Where) -> Shape:
        from embodied_mem.recall.recall import Recall

        return answer_shape(Recall(self.memory).locate(label, self._typed(where)))

    def things(self, label: str, *, id_: str, map_id: str, now_only: bool) -> Shape:
        from embodied_mem.cli.shape import thing_shape
        from embodied_mem.objects.histories import history
        from embodied_mem.objects.view import ObjectView

        view = ObjectView(self.memory.index)
        stays = history(view, id_=id_, label=label, map_id=map_id, now_ns=self.memory.clock())
        told = [known for each in stays for known in (each[:1] if now_only else each)]
        return {"found": bool(stays), "objects": [thing_shape(known) for known in told]}

    def goto(self, label: str, *, start: tuple[float, ...] | None, map_id: str, radius: float, eye: float) -> Shape:
        import numpy as np

        from embodied_mem.recall import going
        from embodied_mem.topology.goal_near import NearSettings
        from embodied_mem.topology.words import in_words

        space, places = going.explored(self.memory)
        name = self.memory.index.maps.resolve(map_id)
        sought = going.thing(self.memory, label, name)
        here = going.standing(self.memory, name) if start is None else np.array(start)
        settings = NearSettings(radius=radius, eye=eye)
        try:
            found = going.go_to(space.map(name), places, sought, here, settings, map_id=name)
        except UnreachableError as error:
            return {"found": False, "reason": str(error)}
        return {
            "found": True,
            "reason": f"{sought.why} {found.why}",
            "map_id": name,
            "position": found.pose.position.tolist(),
            "heading": found.pose.heading,
            "target": sought.target.center.tolist(),
            "instructions": in_words(places.graph, found.route) if found.route and len(found.route) > 1 else "",
            "evidence": list(sought.records),
        }

    def describe(
        self,
        question: str,
        where: Where,
        *,
        against: tuple[float, ...] | None,
        robot: tuple[float, ...] | None,
        areas: int,
    ) -> Shape:
        from dataclasses import replace

        import numpy as np

        from embodied_mem.recall.forests import Forests
        from embodied_mem.recall.regions import Regions

        query = self._typed(where)
        other = None if against is None else replace(query, center=np.array(against))
        here = None if robot is None else np.array(robot)
        told = Regions(self.memory, Forests()).describe(question, query, other, robot=here, areas=areas)
        seqs = told.evidence[:_SAMPLE]
        hits = self.memory.query(Query(seqs=seqs, map_id=query.map_id, k=len(seqs))).hits if seqs else []
        return described_shape(told, [hit_shape(hit) for hit in hits])

    def forget(self, seqs: tuple[int, ...], where: Where, *, dry_run: bool) -> Shape:
        if not seqs and where.empty:
            raise BadInputError("Forget what? Give numbers of records, or a filter such as --label or --when.")
        numbers = list(seqs) if seqs else self.memory.select(self._typed(where)).tolist()
        if dry_run or not numbers:
            self.memory.records(numbers[:_SAMPLE])  # a number that does not exist is an error here too
            return {"count": len(numbers), "seqs": numbers, "command_seq": None}
        return {"count": len(numbers), "seqs": numbers, "command_seq": self.memory.forget(numbers)}

    def undo(self, command_seq: int | None) -> Shape:
        undone, undo_seq = self.memory.undo(command_seq)
        return {"undone": undone, "undo_seq": undo_seq}

    def correct(self, seq: int, **changes: Any) -> Shape:
        return {"seq": seq, "command_seq": self.memory.correct(seq, **changes)}

    def change_things(self, action: str, detections: tuple[str, ...]) -> Shape:
        from embodied_mem.objects.naming import detection
        from embodied_mem.records.commands import PartThings, UniteThings

        kind = UniteThings if action == "unite" else PartThings
        command = kind(tuple(detection(word) for word in detections))
        return {"command_seq": self.memory.change_things(command)}

    def compact(self, console: Console) -> Shape:
        from dataclasses import asdict

        from embodied_mem.records.compaction import Compaction

        compaction = Compaction(self.memory)
        doing, done, bar = "", 0, console.bar(None, "compacting")
        for step in compaction.steps():
            if step.doing != doing:
                bar.close()
                doing, done, bar = step.doing, 0, console.bar(step.total or None, step.doing, "entry")
                console.milestone(f"{step.doing} ...")
            bar.update(step.done - done)
            done = step.done
        bar.close()
        return {"message": compaction.report.sentence(), **asdict(compaction.report)}

    def close(self) -> None:
        self.memory.close()

    def typed(self, where: Where, **more: Any) -> Query:
        """The typed query of filter options; the words of `when` are understood here."""
        return self._typed(where, **more)

    def _typed(self, where: Where, **more: Any) -> Query:
        from dataclasses import replace

        from embodied_mem.records.when import parse_when

        query = where.query(**more)
        if not where.when.strip():
            return query
        if query.time is not None:
            raise BadInputError("Give either --when or --since and --until, not both.")
        time_range = parse_when(
            where.when, self.memory.clock(), self._stamp_of, datetime.now().astimezone().tzinfo or timezone.utc
        )
        return replace(query, time=time_range)

    def _stamp_of(self, seq: int) -> int:
        return self.memory.get(seq).observation.stamp_ns

    def _now_ns(self, now: str | None) -> int:
        if now is None:
            newest = self._newest_ns()
            return newest if newest and abs(self._written_ns() - newest) > _DAY_NS else time.time_ns()
        if now == "last":
            return self._newest_ns() or time.time_ns()
        try:
            seconds = float(now) if now.replace(".", "", 1).isdigit() else datetime.fromisoformat(now).timestamp()
        except (ValueError, OverflowError):
            raise BadInputError(
                f"--now {now!r} is not a time: write 2026-05-04T10:00, seconds since 1970, or last."
            ) from None
        return round(seconds * 1e9)

    def _written_ns(self) -> int:
        """When the folder was last written, by the computer's clock; simulated and replayed time know nothing of it."""
        files = [self.folder / name for name in ("log.db", "log.db-wal")]
        return max((path.stat().st_mtime_ns for path in files if path.exists()), default=0)

    def _newest_ns(self) -> int:
        seen = self.memory.index.table.last_seen.data
        return int(seen.max()) if len(seen) else 0
