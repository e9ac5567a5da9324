"""Where numbers go: TensorBoard, the log, and `timers.json`."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from mlagents.run.recorder import Aggregation, Array, StatsSummary
from mlagents.run.timers import Timers

log = logging.getLogger(__name__)
HIDDEN = ("Is Training", "Step")  # from TensorBoard
BINS = 30  # of a histogram
FILE_VERSION = "brain.Event:2"  # first record of every event file
_NUMBERS = itertools.count()
LARGEST = 1e150


class TensorBoardWriter:
    """One event file per behavior, in `<run>/<behavior>`.

    A file is opened for each write: so it does not matter if its folder is moved or deleted meanwhile, and a write that
    fails, on a full disk for example, is taken back, since TensorBoard reads nothing behind a torn record.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, Path] = {}

    def write_stats(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Append a point of each curve, and histograms; raises OSError after taking back what was half written."""
        shown = []
        for name, summary in values.items():
            if name in HIDDEN:
                continue
            shown.append(Summary.Value(tag=name, simple_value=summary.aggregated_value))
            if summary.aggregation_method is Aggregation.HISTOGRAM:
                shown.append(Summary.Value(tag=f"{name}_hist", histo=histogram(summary.full_dist)))
        self._write(category, Event(wall_time=time.time(), step=step, summary=Summary(value=shown)))

    def write_text(self, category: str, tag: str, text: str) -> None:
        """Show a text beside the curves."""
        value = Summary.Value(tag=f"{tag}/text_summary")
        value.metadata.plugin_data.plugin_name = "text"
        value.tensor.dtype = 7  # DT_STRING
        value.tensor.tensor_shape.dim.add().size = 1
        value.tensor.string_val.append(text.encode("utf-8"))
        self._write(category, Event(wall_time=time.time(), step=0, summary=Summary(value=[value])))

    def _write(self, category: str, event: Event) -> None:
        folder = self.root / category
        folder.mkdir(parents=True, exist_ok=True)
        path = self._files.setdefault(category, folder / _event_file())
        with open(path, "ab") as file:
            before = file.tell()
            try:
                records = RecordWriter(file)
                if not before:
                    records.write(Event(wall_time=event.wall_time, file_version=FILE_VERSION).SerializeToString())
                records.write(event.SerializeToString())
                records.flush()
            except OSError:
                os.truncate(path, before)
                raise


def _event_file() -> str:
    """Return a name as TensorBoard's own writers give; no two files of a process have the same."""
    return f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}"


def histogram(values: Array) -> HistogramProto:
    """Return how (n,) values are spread."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        finite = np.zeros(1)
    finite = finite.clip(-LARGEST, LARGEST)  # the squares of larger ones are no number any more
    count, edge = np.histogram(finite, BINS, _range(finite))
    return HistogramProto(
        min=finite.min(), max=finite.max(), num=len(finite), sum=finite.sum(), sum_squares=(finite**2).sum(),
        bucket_limit=edge[1:].tolist(), bucket=count.tolist(),
    )  # fmt: skip


def _range(values: Array) -> tuple[float, float]:
    """Return the ends of a histogram, so far apart that its bins differ."""
    low, high = float(values.min()), float(values.max())
    width = max(high - low, BINS * np.spacing(max(abs(low), abs(high))), 1e-12)
    return (low, high) if high - low >= width else (low - width, high + width)


class ConsoleWriter:
    """A line per summary, in the wording that people search their logs for."""

    summaries_only = True

    def __init__(self) -> None:
        self._start = time.time()

    def write_stats(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Log the mean reward of a summary, or the losses where demonstrations are all there is."""
        parts = [category, f"Step: {step}", f"Time Elapsed: {time.time() - self._start:0.3f} s"]
        reward = values.get("Environment/Cumulative Reward")
        group = values.get("Environment/Group Cumulative Reward")
        loss, held_out = values.get("Losses/Cloning Loss"), values.get("Losses/Held-Out Loss")
        if loss is not None:
            parts.append(f"Loss: {loss.mean:0.3f}")
            parts += [f"Held-Out Loss: {held_out.full_dist[-1]:0.3f}"] if held_out is not None else []
        elif reward is None:
            parts.append("No episode was completed since last summary")
        else:
            parts.append(f"Mean Reward: {reward.mean:0.3f}")
            parts.append(f"Mean Group Reward: {group.mean:0.3f}" if group else f"Std of Reward: {reward.std:0.3f}")
        training = values.get("Is Training")
        parts.append("Training" if training is None or training.aggregated_value > 0 else "Not Training")
        elo = values.get("Self-play/ELO")
        if reward is not None and elo is not None:
            parts.append(f"ELO: {elo.aggregated_value:0.3f}")
        log.info(". ".join(parts) + ".")


class GaugeWriter:
    """Keeps the last value of each number for `timers.json`."""

    def __init__(self, timers: Timers) -> None:
        self.timers = timers

    def write_stats(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Keep the mean and the sum of each number."""
        for name, summary in values.items():
            plain = f"{category}.{name.replace('/', '.').replace(' ', '')}"
            self.timers.gauge(f"{plain}.mean", summary.mean)
            self.timers.gauge(f"{plain}.sum", summary.sum)


def outline(values: Mapping[str, Any], depth: int = 0) -> str:
    """Return nested settings as lines, in the layout of Unity's trainers."""
    lines = []
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        lines.append("\t" + "  " * depth + f"{key}:\t" + ("" if nested else str(value)))
        if nested:
            lines.append(outline(value, depth + 1))
    return "\n".join(lines)
