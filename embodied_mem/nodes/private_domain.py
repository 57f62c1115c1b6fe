"""A ROS domain of this machine alone: no robot nearby hears what is said in it, no other demo, test or benchmark."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embodied_mem.errors import UnavailableError
from embodied_mem.nodes.supervisor import transport_environment


class Domain:
    """The number of a ROS domain that nobody else on this machine holds; a lock on a file says so.

    Domains above 101 collide with the ports that Linux hands out for outgoing connections.
    Raises UnavailableError when all are held.
    """

    def __init__(self) -> None:
        chance = random.SystemRandom()  # not as seeded by a test: two runs side by side must not meet
        for number in chance.sample(range(1, 102), 101):
            path = Path(tempfile.gettempdir()) / f"embodied_mem_domain_{number}"
            try:
                self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            except OSError:  # another user's
                continue
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                continue
            self.number = number
            return
        raise UnavailableError("All 101 ROS domains of this machine are in use by demos, tests or benchmarks: end one.")

    def release(self) -> None:
        os.close(self._file)


@contextmanager
def private_domain(number: int | None = None) -> Iterator[int]:
    """A domain of this machine alone, also for the processes started meanwhile; the environment is put back.

    number: a domain that was chosen, by whom it may be shared.
    """
    held = Domain() if number is None else None
    chosen = held.number if held is not None else number
    changes = {"ROS_DOMAIN_ID": str(chosen), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **transport_environment()}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield int(changes["ROS_DOMAIN_ID"])
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if held is not None:
            held.release()
