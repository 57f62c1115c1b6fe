"""Quality of service of every topic, by what the topic is for. Nothing relies on a default."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def reliable(depth: int) -> QoSProfile:
    """Delivered in order and sent again when lost, `depth` messages kept for a slow reader."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched(depth: int = 1) -> QoSProfile:
    """As `reliable`, and who subscribes late gets the newest."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def best_effort(depth: int) -> QoSProfile:
    """What sensors publish; matches reliable publishers too."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


OBSERVATIONS = reliable(200)
RECORDS = reliable(1000)
EVENTS = reliable(200)
ANSWERS = reliable(20)
LATCHED = latched()
MARKERS = latched()
REQUESTS = 10  # of a service that few call at once
MANY_REQUESTS = 1000
SENSOR_OUT = reliable(10)  # what the simulator publishes; both kinds of reader match
CLOCK = best_effort(10)


def sensor_in(reliability: str, depth: int = 10) -> QoSProfile:
    """Reading sensors: `best_effort` matches every publisher, `reliable` only reliable ones and loses nothing."""
    return reliable(depth) if reliability == "reliable" else best_effort(depth)
