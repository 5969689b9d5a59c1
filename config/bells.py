"""The embedded queue's transport: a message is a file in a folder, as in kombu's filesystem one.

That one opens a message's file before it fills it, so a reader can find it empty, which stops the
worker; its table of exchanges, shared by all processes, has the same fault. Here a message gets its
name when it is complete, and every process keeps its own table (so there are no broadcasts).
"""

from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any
from uuid import uuid4

from kombu.transport import virtual
from kombu.utils.json import dumps, loads


class Channel(virtual.Channel):
    """Messages as files that appear whole and that one reader takes."""

    @property
    def _folder(self) -> Path:
        client: Any = self.connection.client
        return Path(client.transport_options["data_folder_in"])

    def _waiting(self, queue: str) -> Iterator[Path]:
        return self._folder.glob(f"*.{queue}.msg")

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        name = f"{time_ns()}-{uuid4()}"
        part = self._folder / f"{name}.part"
        part.write_text(dumps(message))
        part.rename(self._folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for message in sorted(self._waiting(queue)):
            taken = message.with_suffix(".taken")
            try:
                message.rename(taken)
            except FileNotFoundError:
                continue  # another reader has it
            text = taken.read_text()
            taken.unlink()
            return loads(text)
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(1 for _ in self._waiting(queue))

    def _purge(self, queue: str) -> int:
        waiting = list(self._waiting(queue))
        for message in waiting:
            message.unlink(missing_ok=True)
        return len(waiting)


class Transport(virtual.Transport):
    """What settings name as the transport where there is no Redis."""

    Channel = Channel
    driver_type = "filesystem"
    driver_name = "bells"
    default_port = 0
