"""Shared by all commands: closed output does not end them, and system errors are printed as one sentence."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TextIO

from mlagents_envs.system_errors import sentence

REFUSED, INTERRUPTED = 2, 130  # exit status


class Output:
    """A stream that survives a closed pipe: what cannot be written is dropped, and reported once on standard error.

    A character that the stream's encoding lacks is written as an escape.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def write(self, text: str) -> int:
        """Write text, or drop it after a failure; return its length."""
        if self.failure is None:
            try:
                return self.stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: it was closed
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless it has failed."""
        if self.failure is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _fail(self, error: OSError | ValueError) -> None:
        self.failure = error if isinstance(error, OSError) else OSError(errno.EBADF, "it is closed")
        with suppress(OSError, ValueError):  # what is buffered would fail again at the end of the process
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
        if self.stream is not sys.__stderr__ and not self.reader_left:
            with suppress(OSError, ValueError):
                print(f"standard output cannot be written: {self.failure.strerror}", file=sys.__stderr__)

    @property
    def reader_left(self) -> bool:
        """Whether the reader closed the other end of the pipe, which is no error."""
        return self.failure is not None and self.failure.errno in (errno.EPIPE, errno.EINVAL)


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap a command's `main(argv=None)`: it survives closed output and prints system errors as sentences.

    It returns 2 for such an error, and where the output could not be written.
    """

    @wraps(main)
    def run(*args: Any, **kwargs: Any) -> int:
        before = sys.stdout, sys.stderr
        out, err = Output(sys.stdout), Output(sys.stderr)
        sys.stdout, sys.stderr = out, err
        try:
            status = main(*args, **kwargs)
        except OSError as error:
            print(sentence(error), file=sys.stderr)
            status = REFUSED
        except KeyboardInterrupt:
            status = INTERRUPTED
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            out.flush()
            raise SystemExit(_status(status, out)) from None
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before
        return _status(status, out)

    return run


def _status(status: int, out: Output) -> int:
    return REFUSED if status == 0 and out.failure is not None and not out.reader_left else status
