"""Loggers that write to standard output, and one level for all of them."""

from __future__ import annotations

import logging
import sys
from logging import CRITICAL, DEBUG, ERROR, INFO, NOTSET, WARNING

from mlagents_envs.printable import printable

__all__ = ["CRITICAL", "DEBUG", "ERROR", "INFO", "NOTSET", "WARNING", "get_logger", "set_log_level"]

_PLAIN = logging.Formatter("[%(levelname)s] %(message)s")
_DETAILED = logging.Formatter(
    "%(asctime)s %(levelname)s [%(filename)s:%(lineno)d] %(message)s", datefmt="%Y-%m-%d %H:%M:%S"
)
PACKAGE = "mlagents_envs"  # the logger above those of this package's modules


class _StandardOutput(logging.Handler):
    """Writes to the present `sys.stdout`, so that it can be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stdout, flush=True)
        except (OSError, ValueError):  # a closed pipe, or a stream that was closed
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        return printable((_DETAILED if _level <= DEBUG else _PLAIN).format(record), layout=True)


_level = INFO
_handler = _StandardOutput()
_loggers: set[logging.Logger] = set()


def get_logger(name: str) -> logging.Logger:
    """Return a logger that writes `[LEVEL] message` to standard output, at the common level.

    Parent loggers do not repeat its lines.
    """
    logger = logging.getLogger(name)
    if logger not in _loggers:
        _loggers.add(logger)
        logger.addHandler(_handler)
        logger.propagate = False
        logger.setLevel(_level)
    return logger


def set_log_level(log_level: int) -> None:
    """Set the level of all loggers made here and of this package; at DEBUG, lines have their time and place."""
    global _level
    _level = log_level
    get_logger(PACKAGE)
    for logger in _loggers:
        logger.setLevel(log_level)
