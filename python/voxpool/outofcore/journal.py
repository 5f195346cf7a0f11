"""What an interrupted run has to leave behind so that the next one can go on, and that no two work on one result.

The journal is a file next to the result: a line of JSON that says what is computed from what, then one character for
each block whose values are on the disk. It is only appended to, and every block is on the disk before its character is,
so that whatever ends a run, a journal never promises too much. It is locked while a run goes on; the system drops that
lock with the process, however that ends.
"""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """The journal of `target`, locked. A context manager that unlocks it and leaves the file where it is."""

    def __init__(self, target: Path) -> None:
        """Raises BlockingIOError if another process writes the same target."""
        self._path = target.with_name(f".{target.name}.journal")
        self._file = self._locked()
        head, newline, blocks = self._file.read().partition(b"\n")
        #: What the run that began the journal computes; None if none did, or did not get as far.
        self.task: dict[str, Any] | None = _parsed(head) if newline else None
        #: How many blocks are on the disk.
        self.blocks = len(blocks) - len(blocks.lstrip(b"."))

    def begin(self, task: dict[str, Any]) -> None:
        """Starts from no blocks. All files of the result have to be there already."""
        self.discard()
        self._append(json.dumps(task).encode() + b"\n")
        sync_folder(self._path)
        self.task, self.blocks = task, 0

    def discard(self) -> None:
        """Forgets everything, so that the files of the result may be touched."""
        self._file.truncate(0)
        os.fsync(self._file.fileno())
        self.task, self.blocks = None, 0

    def add_block(self) -> None:
        """The values of the next block are on the disk."""
        self._append(b".")
        self.blocks += 1

    def remove(self) -> None:
        """Nothing is left to be done."""
        self._path.unlink()
        sync_folder(self._path)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _append(self, text: bytes) -> None:
        # Straight to the file: what Python kept in a buffer, it would write again when the file is closed.
        while text:
            text = text[self._file.write(text) or 0 :]
        os.fsync(self._file.fileno())

    def _locked(self) -> Any:
        while True:
            file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 - lives as long as the journal
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise BlockingIOError(f"{self._path}: another process is writing this result") from None
            # The run that held the lock may have removed the file after it was opened here.
            if _is_there(file, self._path):
                file.seek(0)
                return file
            file.close()


def sync_folder(path: Path) -> None:
    """Returns when the names in the folder of `path` are on the disk."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _parsed(line: bytes) -> dict[str, Any] | None:
    # A machine that lost power may have kept the length of a file and not all of its bytes.
    try:
        task = json.loads(line)
    except ValueError:
        return None
    return task if isinstance(task, dict) else None


def _is_there(file: Any, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
