"""Records as an MCAP file: `records` (ours, replays back), and beside it topics that any viewer shows.

/records    embodied_mem_msgs/Record     everything
/pose       geometry_msgs/PoseStamped    where the sensor was
/detections visualization_msgs/MarkerArray  boxes and labels
/points     sensor_msgs/PointCloud2      clouds, in the map frame
/thumbnail  sensor_msgs/CompressedImage
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from embodied_mem.errors import BadInputError, NotFoundError, StorageError, UnavailableError
from embodied_mem.exchange.definitions import RECORD, typestore
from embodied_mem.exchange.messages import OBSERVATION_KIND, MessageMaker, record_of
from embodied_mem.exchange.output import whole_file
from embodied_mem.exchange.viewing import viewer_messages
from embodied_mem.records.observation import Record

RECORDS_TOPIC = "/records"


def write_mcap(records: Iterable[Record], path: Path) -> int:
    """Write the file, whole or not at all; returns the number of records. Raises StorageError, UnavailableError."""
    try:
        from mcap.writer import Writer
    except ImportError:
        raise UnavailableError("MCAP files need the package mcap: pip install mcap.") from None
    store = typestore()
    maker = MessageMaker(store)
    count = 0
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2", library="embodied_mem")
        channels = Channels(writer, store)
        for record in records:
            stamp = record.observation.stamp_ns
            channels.write(RECORDS_TOPIC, RECORD, stamp, maker.record(record))
            for topic, kind, message in viewer_messages(maker, record):
                channels.write(topic, kind, stamp, message)
            count += 1
        writer.finish()
    return count


def has_records(path: Path) -> bool:
    """Whether an MCAP file carries our records (else it is a bag of sensor data). Raises as `read_mcap`."""
    return any(True for _ in _messages(path, only_first=True))


def read_mcap(path: Path) -> Iterator[Record]:
    """The records in an MCAP file that `write_mcap` or a bag recorder wrote.

    Entries that are no observations (commands, repetitions, tombstones) are passed over.
    Raises NotFoundError, StorageError, BadInputError.
    """
    found = False
    for message in _messages(path):
        found = True
        if message.kind == OBSERVATION_KIND:
            yield record_of(message)
    if not found:
        raise BadInputError(f"{path} holds no messages of type {RECORD}: for sensor data use `embodied-mem replay`.")


class Channels:
    """Registers schemas and channels as they are first used."""

    def __init__(self, writer: Any, store: Any) -> None:
        self._writer, self._store = writer, store
        self._ids: dict[str, int] = {}

    def write(self, topic: str, kind: str, stamp_ns: int, message: Any) -> None:
        if topic not in self._ids:
            text, _ = self._store.generate_msgdef(kind, ros_version=2)
            schema = self._writer.register_schema(kind, "ros2msg", text.encode())
            self._ids[topic] = self._writer.register_channel(topic, "cdr", schema)
        data = bytes(self._store.serialize_cdr(message, kind))
        self._writer.add_message(self._ids[topic], stamp_ns, data, stamp_ns)


def _messages(path: Path, *, only_first: bool = False) -> Iterator[Any]:
    """Record messages of the file, decoded by the definitions that the file itself carries."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        raise UnavailableError("MCAP files need the package rosbags: pip install rosbags.") from None
    stores: dict[int, Any] = {}
    for schema, data in _raw_messages(path):
        try:
            if schema.id not in stores:
                stores[schema.id] = get_typestore(Stores.EMPTY)
                stores[schema.id].register(get_types_from_msg(schema.data.decode(), RECORD))
            yield stores[schema.id].deserialize_cdr(data, RECORD)
        except Exception as error:  # rosbags and struct raise many kinds for bytes that are not what the schema says
            raise StorageError(f"{path} holds a message that cannot be decoded ({_what(error)}).") from None
        if only_first:
            return


def _raw_messages(path: Path) -> Iterator[tuple[Any, bytes]]:
    """(schema, bytes) of each Record message, from front to back: a file that was cut short gives what it still has."""
    try:
        from mcap.reader import NonSeekingReader
    except ImportError:
        raise UnavailableError("MCAP files need the package mcap: pip install mcap.") from None
    try:
        file = open(path, "rb")  # noqa: SIM115 - held open while messages are read
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}).") from None
    with file:
        messages = NonSeekingReader(file).iter_messages(log_time_order=False)
        while True:
            try:
                schema, _, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # struct, zstandard, lz4, EOFError and the reader's own, by where the cut is
                raise StorageError(f"{path} is not a whole MCAP file ({_what(error)}): was it cut short?") from None
            if schema is not None and schema.name == RECORD:
                yield schema, raw.data


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
