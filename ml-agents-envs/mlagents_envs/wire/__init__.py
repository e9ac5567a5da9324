"""The connection to a Unity player: bytes, sockets and processes."""

import os

# Read by gRPC when it is loaded: without it, gRPC prints a line for every player that is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
