"""Whether the port of a player is free, and which process holds it if not."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil

SHOWN = 120  # letters of a command line


def port_held(port: int) -> str | None:
    """Return a sentence if no server can listen at this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform == "linux":  # elsewhere this would let two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", port))
        except OverflowError:
            return f"port {port} does not exist; choose a base_port from 1024 to 65535"
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                return f"port {port} is reserved by the system; choose a base_port from 1024 to 65535"
            holder = who_holds(port) or f"a process that cannot be seen ({error.strerror})"
            return f"port {port} is held by {holder}; end it, or choose another base_port or worker_id"
    return None


def who_holds(port: int) -> str | None:
    """Return a description of the process that listens at a port, None if none is found."""
    owners = list(_owners(port))
    if not owners:
        return None
    pid = next((pid for pid in owners if pid), None)
    return "a process of another user" if pid is None else _described(pid)


def _owners(port: int) -> Iterator[int | None]:
    """Yield the process ids of a port's listeners, None where access is denied."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS shows only the user's own processes
        yield from _own(port)
        return
    yield from (connection.pid for connection in connections if _listens(connection, port))


def _own(port: int) -> Iterator[int]:
    for process in psutil.process_iter():
        # psutil 5 has the older name only
        listed = getattr(process, "net_connections", None) or process.connections
        with suppress(psutil.Error):
            if any(_listens(connection, port) for connection in listed("tcp")):
                yield process.pid


def _listens(connection: Any, port: int) -> bool:
    return bool(connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN)


def _described(pid: int) -> str:
    """Return a description of a process, as far as this user may read it."""
    process, text = None, f"process {pid}"
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        text += f" ({process.name()})"
    if process is not None:
        with suppress(psutil.Error):
            text += time.strftime(", started %Y-%m-%d %H:%M:%S", time.localtime(process.create_time()))
        with suppress(psutil.Error):
            command = " ".join(" ".join(process.cmdline()).split())  # a command may have many lines
            text += f", command {command[:SHOWN]}{'...' if len(command) > SHOWN else ''}" if command else ""
    return text + (", which is this process" if pid == os.getpid() else "")
