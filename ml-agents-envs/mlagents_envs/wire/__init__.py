"""The conversation with a Unity player: bytes, sockets and processes."""

import os

# Read by gRPC when it is loaded: without it, it writes a line to the terminal for every player that is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
