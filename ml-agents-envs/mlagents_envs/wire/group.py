"""Processes that end together: a player and its children, at the latest when this process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    KILL_ON_JOB_CLOSE = 0x2000
    SET_QUOTA_AND_TERMINATE = 0x0101  # access that a job needs to a process
    EXTENDED_LIMITS = 9

    class _Limits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

        _fields_ = [
            ("times", wintypes.LARGE_INTEGER * 2),
            ("flags", wintypes.DWORD),
            ("working_set", ctypes.c_size_t * 2),
            ("processes", wintypes.DWORD),
            ("affinity", ctypes.c_size_t),
            ("classes", wintypes.DWORD * 2),
            ("input_output", ctypes.c_ulonglong * 6),
            ("memory", ctypes.c_size_t * 4),
        ]

    class Group:
        """A process in a job, which Windows ends when the last handle closes: at the latest with this process."""

        def __init__(self, command: Sequence[str | Path], *, output: int) -> None:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )  # fmt: skip
            self._system = ctypes.WinDLL("kernel32", use_last_error=True)
            self._system.CreateJobObjectW.restype = wintypes.HANDLE
            limits = _Limits(flags=KILL_ON_JOB_CLOSE)
            # where a call fails, the player is an ordinary process: it still ends when its connection is lost
            self._job = wintypes.HANDLE(self._system.CreateJobObjectW(None, None))
            self._system.SetInformationJobObject(
                self._job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
            )
            self._system.OpenProcess.restype = wintypes.HANDLE
            handle = wintypes.HANDLE(self._system.OpenProcess(SET_QUOTA_AND_TERMINATE, False, self.process.pid))
            self._system.AssignProcessToJobObject(self._job, handle)
            self._system.CloseHandle(handle)

        def terminate(self) -> None:
            """Ask the processes to end; only those with a console receive the signal."""
            with suppress(OSError):
                self.process.send_signal(signal.CTRL_BREAK_EVENT)

        def kill(self) -> None:
            """End all of them."""
            self._system.TerminateJobObject(self._job, 1)
            self._system.CloseHandle(self._job)
            with suppress(OSError):
                self.process.kill()

else:

    class Group:
        """A process in a session of its own, so that Ctrl-C in the terminal does not reach it.

        On Linux the kernel kills the process when the *thread* that started it ends, which is one that lasts as long as
        this process. Children of the player are only ended by `kill`. On macOS nothing like it exists: there a
        player ends because Unity quits when its connection is lost.
        """

        def __init__(self, command: Sequence[str | Path], *, output: int) -> None:
            before = _end_with(os.getpid())
            self.process = _starter(os.getpid()).start(lambda: subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=before,
            ))  # fmt: skip

        def terminate(self) -> None:
            """Ask the processes to end; stopped ones are continued so that they receive the signal."""
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)

        def kill(self) -> None:
            """End all of them."""
            self._signal(signal.SIGKILL)

        def _signal(self, number: signal.Signals) -> None:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only a zombie is left
                os.killpg(self.process.pid, number)


Process = subprocess.Popen[bytes]


class _Starter:
    """A thread that starts processes and lasts as long as this process."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Process], Callable[[], Process]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="starts-players", daemon=True).start()

    def start(self, function: Callable[[], Process]) -> Process:
        """Return what the function returns; if the caller is interrupted meanwhile, the process is ended."""
        future: Future[Process] = Future()
        self._work.put((future, function))
        try:
            return future.result()
        except BaseException:
            future.add_done_callback(_kill)
            raise

    def _serve(self) -> None:
        while True:
            future, function = self._work.get()
            try:
                future.set_result(function())
            except BaseException as error:  # it is raised where the result is read
                future.set_exception(error)


@cache
def _starter(process: int) -> _Starter:
    """Return the starter of this process: a fork has another."""
    return _Starter()


def _kill(started: Future[Process]) -> None:
    if started.exception() is None:
        started.result().kill()
        started.result().wait()


def _end_with(parent: int) -> Callable[[], None] | None:
    """Return what a child of `parent` runs before exec, so that it does not outlive its parent.

    All is prepared here: between fork and exec only system calls are safe.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, getppid, leave = ctypes.CDLL(None).prctl, os.getppid, os._exit
    set_death_signal, kill = 1, int(signal.SIGKILL)

    def end_with_parent() -> None:
        prctl(set_death_signal, kill, 0, 0, 0)
        if getppid() != parent:  # it ended before prctl was called
            leave(1)

    return end_with_parent
