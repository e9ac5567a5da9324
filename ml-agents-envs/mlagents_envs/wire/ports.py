"""Whether the port of a player is free, and who has it if not."""

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
    """Return the process that listens at a port in words, None if nobody is seen there."""
    owners = list(_owners(port))
    if not owners:
        return None
    pid = next((pid for pid in owners if pid), None)
    return "a process of another user" if pid is None else _described(pid)


def _owners(port: int) -> Iterator[int | None]:
    """Yield the process ids of a port's listeners, None where that is secret."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS shows only what belongs to oneself
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
    """Return a process in words, as far as this user may know it."""
    process, said = None, f"process {pid}"
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        said += f" ({process.name()})"
    if process is not None:
        with suppress(psutil.Error):
            said += time.strftime(", started %Y-%m-%d %H:%M:%S", time.localtime(process.create_time()))
        with suppress(psutil.Error):
            command = " ".join(" ".join(process.cmdline()).split())  # a program may stand on many lines
            said += f", command {command[:SHOWN]}{'...' if len(command) > SHOWN else ''}" if command else ""
    return said + (", which is this very process" if pid == os.getpid() else "")
