"""A chart as plain data, apart from the libraries that draw it, and the process that draws it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

WIDE, NARROW, HALF = (1000, 250), (326, 190), (470, 262)


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        column: where its numbers stand in the rows.
        color: ``s1``, ``s2`` or ``s3``.
        dashed: whether it stands behind the others, as what was before.
        filled: whether the area under it is tinted.
    """

    column: str
    color: str = "s1"
    dashed: bool = False
    filled: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over time.

    Args:
        rows: one for each bucket: `start` and `end` as local times without offset, `tip`, and the lines' columns.
        lines: what to draw, the last one on top.
        grain: the bucket's length, a value of `hanzo_reports.units.Grain`.
        bands: spans (start, end) to mark as bad.
        digits: how the axis writes numbers, as d3-format does.
        sizes: the widths and heights in pixels to draw it at.
    """

    rows: Sequence[dict[str, Any]]
    lines: tuple[Line, ...]
    grain: str
    bands: Sequence[tuple[str, str]] = ()
    digits: str = "~s"
    sizes: Sequence[tuple[int, int]] = (WIDE, NARROW)

    @classmethod
    def read(cls, text: str) -> Chart:
        """The chart that a line of JSON holds."""
        given = json.loads(text)
        return cls(**given | {"lines": tuple(Line(**line) for line in given["lines"])})


class Draftsman:
    """Another process that draws charts while this one asks the store: its libraries take a second to start."""

    def __enter__(self) -> Self:
        self._answers = TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hanzo_reports.reports.charts"],
            stdin=subprocess.PIPE, stdout=self._answers, text=True, encoding="utf-8",
        )  # fmt: skip
        self._orders = ThreadPoolExecutor(1)  # a pipe holds little, and nobody should wait for it
        return self

    def add(self, chart: Chart) -> None:
        """One more chart to draw."""
        self._orders.submit(self._send, json.dumps(asdict(chart)) + "\n")

    def drawn(self) -> list[list[str]]:
        """The SVGs of each chart added, in order; waits for them."""
        self._orders.shutdown()
        self._process.communicate()
        if self._process.returncode:
            msg = f"drawing the charts failed with exit code {self._process.returncode}; its error is above"
            raise RuntimeError(msg)
        self._answers.seek(0)
        return [json.loads(line) for line in self._answers]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._orders.shutdown()
            with suppress(BrokenPipeError):  # what was still to be sent
                self._process.communicate()
        self._answers.close()

    def _send(self, line: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(line)
            self._process.stdin.flush()
