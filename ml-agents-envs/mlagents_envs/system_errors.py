"""Errors of the operating system as sentences: the file, the reason and a remedy."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.ENOSPC: "make room there, or choose another folder",
    errno.EDQUOT: "your share of the disk is used up: make room, or choose another folder",
    errno.EACCES: "you may not use it: change its permissions, or choose another place",
    errno.EPERM: "you may not use it: change its permissions, or choose another place",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.ENOENT: "it is not there: was it deleted or moved meanwhile?",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n), or run fewer environments",
    errno.ENFILE: "too many files are open on this machine: end other programs, or run fewer environments",
    errno.EIO: "the disk failed to read or write: check its health",
    errno.ESTALE: "the network folder has changed under this program: mount it again",
    errno.ENOMEM: "there is no memory left: run fewer environments, or a smaller buffer_size",
    errno.EADDRINUSE: "another program listens there: end it, or choose another port",
}


def sentence(error: OSError) -> str:
    """Return an error of the system as a sentence with the file, the reason and a remedy."""
    place = error.filename if error.filename is not None else ""
    if isinstance(place, bytes):
        place = place.decode(errors="backslashreplace")
    why = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, "")
    return f"{place}: {why}".removeprefix(": ") + (f"; {remedy}" if remedy else "")
