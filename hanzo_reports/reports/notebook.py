"""Notebooks as files: where they are, and their title, question and parameters."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import UnknownNameError, UnreadableError
from hanzo_reports.reports.parameters import parse_parameters

if TYPE_CHECKING:
    from hanzo_reports.reports.parameters import Parameter

PACKAGE = Path(__file__).parents[1]
TAG = "parameters"


@dataclass(frozen=True)
class Notebook:
    """A notebook that has been read, not run.

    Args:
        name: the report's name: the file's name without its ending.
        path: the file.
        content: its bytes.
    """

    name: str
    path: Path
    content: bytes

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """Its cells.

        Raises:
            UnreadableError: the file is not a notebook of format 4.
        """
        try:
            cells = json.loads(self.content)["cells"]
            return [cell | {"source": "".join(cell["source"])} for cell in cells]
        except (ValueError, LookupError, TypeError) as error:
            msg = f"{self.path} is not a notebook of format 4 ({error}); open and save it in Jupyter, or name another"
            raise UnreadableError(msg) from None

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The parameters that its cell tagged `parameters` declares; empty without such a cell."""
        tagged = [cell for cell in self.cells if TAG in cell.get("metadata", {}).get("tags", ())]
        cell = next((cell for cell in tagged if cell["cell_type"] == "code"), None)
        return parse_parameters(cell["source"], str(self.path)) if cell else []

    @property
    def title(self) -> str:
        """Its first heading; without one, its name in words."""
        return next((line[2:].strip() for line in self._prose if line.startswith("# ")), self._words)

    @property
    def subtitle(self) -> str:
        """The first line of prose: the question it answers; may be empty."""
        return next((line for line in self._prose if not line.startswith("#")), "")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def _prose(self) -> list[str]:
        sources = [cell["source"] for cell in self.cells if cell["cell_type"] == "markdown"]
        return [line.strip() for source in sources for line in source.splitlines() if line.strip()]

    @property
    def _words(self) -> str:
        return self.name.replace("_", " ").capitalize()


def notebook_names() -> list[str]:
    """The reports that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.ipynb"))


def load_notebook(name: str) -> Notebook:
    """The notebook of a report.

    Args:
        name: a report of the package, or the path of any notebook, ending in .ipynb.

    Raises:
        UnknownNameError: there is no such report.
        UnreadableError: the file does not exist or cannot be read.
    """
    path = Path(name).expanduser() if name.endswith(".ipynb") else _folder() / f"{name}.ipynb"
    if not name.endswith(".ipynb") and name not in notebook_names():
        raise UnknownNameError("report", name, notebook_names())
    try:
        return Notebook(path.stem, path, path.read_bytes())
    except OSError as error:
        msg = f"the notebook {path} cannot be read: {error.strerror or error}"
        raise UnreadableError(msg) from None


def _folder() -> Path:
    """The notebooks folder: inside an installed package, beside the package in a checkout."""
    inside = PACKAGE / "notebooks"
    return inside if inside.is_dir() else PACKAGE.parent / "notebooks"
