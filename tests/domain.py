"""A ROS domain of one's own: what other tests and robots of this machine say is not heard in it."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from pathlib import Path


class Domain:
    """A ROS domain that no other test of this machine uses meanwhile, at random: a lock on a file says so.

    Domains above 101 collide with the ports that Linux hands out for outgoing connections.
    """

    def __init__(self) -> None:
        chance = random.SystemRandom()  # not as seeded by a test: two runs side by side must not meet
        for number in chance.sample(range(1, 102), 101):
            path = Path(tempfile.gettempdir()) / f"embodied_mem_test_domain_{number}"
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                continue
            self.number = number
            return
        raise AssertionError("every ROS domain is in use by tests")

    def release(self) -> None:
        os.close(self._file)
