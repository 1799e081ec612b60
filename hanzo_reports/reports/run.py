"""Notebooks run into reports: one folder a run, with its page, its data, and a manifest that says how it was made."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import ReportFailedError
from hanzo_reports.quality.verdict_history import build_badge, current_verdicts
from hanzo_reports.reports import notebook as notebooks
from hanzo_reports.reports.archive import MANIFEST, Archive, read
from hanzo_reports.reports.kernel import NAME, gone, kernel, kill_on_signal, leave
from hanzo_reports.reports.manifest import exports, files, kpis, versions, window_json
from hanzo_reports.reports.outcome import Failure, failure, parts
from hanzo_reports.reports.parameters import OUT_DIR, Parameter, checked
from hanzo_reports.reports.plan import Plan, asked, planned
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from jupyter_client.manager import AsyncKernelManager
    from nbformat import NotebookNode

    from hanzo_reports.reports.archive import Draft

PAGE, EXECUTED = "report.html", "notebook.ipynb"
COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True)
class Run:
    """A report that was made.

    Args:
        name: the report.
        id: the run's name: when it was made, and the start of its key.
        key: what it depends on, as a SHA-256: notebook, parameters, window, data, package.
        status: ``completed``; a run that fails raises.
        folder: all that it made.
        page: the page in it.
        manifest: what manifest.json says.
        fresh: whether it was made now; False: it was there already.
    """

    name: str
    id: str
    key: str
    status: str
    folder: Path
    page: Path
    manifest: dict[str, Any]
    fresh: bool


def report_names() -> list[str]:
    """The reports that come with the package."""
    return notebooks.names()


def report_parameters(name: str) -> list[Parameter]:
    """The parameters of a report: name, type, default, meaning.

    Args:
        name: a report of the package, or the path of a notebook.

    Raises:
        UnknownNameError: there is no such report.
        UnreadableError: its notebook cannot be read.
    """
    return notebooks.found(name).parameters


def run_report(  # noqa: PLR0913  # what, when, where to, and two that have defaults
    name: str, params: Mapping[str, Any], *, now: datetime, out: Path, if_missing: bool = False, state: str = ""
) -> Run:
    """A notebook run into a report, in a folder of its own: ``<out>/<report>/<time>-<key>``.

    Args:
        name: a report of the package, or the path of a notebook.
        params: values that differ from the notebook's defaults; texts are read as the parameter's type.
        now: the instant of the run; ranges end at it unless `window_end` is given. It must carry an offset.
        out: the folder of all reports.
        if_missing: give back the newest run with the same key, if there is one, and run nothing.
        state: for ClickHouse, where the state is kept: what `HANZO_REPORTS_STATE` says, as the notebook reads it there.

    Raises:
        UnknownNameError: there is no such report, parameter or time zone.
        UnreadableError: the notebook cannot be read.
        ParameterError: a parameter has the wrong type, or looks like a secret.
        WindowError: the window cannot be read.
        StoreError: the store is none.
        LockedError: another process makes this report.
        ReportFailedError: the notebook stopped before its end; the run is kept as ``<run>.failed``.
    """
    started = perf_counter()
    notebook = notebooks.found(name)
    wanted = asked(notebook, checked(notebook.parameters, params, notebook.name), now)
    archive = Archive(out.absolute() / notebook.name)
    with ExitStack() as stack:
        start = partial(kernel, wanted.address)
        starting = None if if_missing else stack.enter_context(start())  # while it starts, the store is opened
        plan = planned(wanted, state)
        if if_missing and (there := archive.found(plan.key)):
            return _run(archive, there, fresh=False)
        draft = stack.enter_context(archive.draft(now, plan.key))
        manifest, problem = _made(plan, draft, starting or stack.enter_context(start()), started)
        place = draft.keep(failed=problem is not None)
        if problem:
            msg = f"the report {notebook.name!r} failed in {problem}; what there is of it is in {place}"
            raise ReportFailedError(msg)
        if not _older(plan, read(archive.folder / wanted.pointer)):
            archive.point(wanted.pointer, draft.id)
        return _run(archive, manifest, fresh=True)


def _run(archive: Archive, manifest: dict[str, Any], *, fresh: bool) -> Run:
    folder = archive.folder / manifest["run"]
    name, run, key, status = (manifest[known] for known in ("report", "run", "key", "status"))
    return Run(name, run, key, status, folder, folder / PAGE, manifest, fresh)


def _older(plan: Plan, latest: Mapping[str, Any]) -> bool:
    """Whether it fills in an earlier window than the one that the pointer shows."""
    shown = latest.get("window")
    return bool(plan.asked.backfill and plan.window and shown and iso(plan.window.end) < shown["end"])


def _made(
    plan: Plan, draft: Draft, starting: AsyncKernelManager, started: float
) -> tuple[dict[str, Any], Failure | None]:
    """The run's files in the draft's folder; its manifest, and what went wrong."""
    checks = perf_counter()
    executed, stopped = _executed(plan, draft, starting)
    problem, found = failure(executed, stopped), parts(executed)
    place = draft.place(failed=problem is not None)
    ran = perf_counter()
    _write_notebook(executed, draft.partial, place)
    facts = _facts(plan, place.name, found, problem)
    _write_page(plan, draft, found, facts, problem)
    gone(starting)
    finished = perf_counter()
    steps = {"checks": checks - started, "notebook": ran - checks, "page": finished - ran, "total": finished - started}
    manifest = {
        **facts,
        "exports": exports(draft.partial, found),
        "files": files(draft.partial),
        "seconds": {step: round(seconds, 3) for step, seconds in steps.items()},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, default=str)
    (draft.partial / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    return manifest, problem


def _executed(plan: Plan, draft: Draft, starting: AsyncKernelManager) -> tuple[NotebookNode, Exception | None]:
    """The notebook with its outputs; and what stopped it, if that was no exception in a cell."""
    from papermill.clientwrap import PapermillNotebookClient  # noqa: PLC0415  # the kernel starts meanwhile
    from papermill.engines import NotebookExecutionManager  # noqa: PLC0415
    from papermill.iorw import load_notebook_node  # noqa: PLC0415
    from papermill.parameterize import parameterize_notebook  # noqa: PLC0415

    notebook = load_notebook_node(str(plan.asked.notebook.path))
    values = dict(plan.asked.values)
    if values:
        values |= {OUT_DIR: str(draft.partial)} if OUT_DIR in values else {}
        notebook = parameterize_notebook(notebook, values, kernel_name=NAME, language="python")
    manager = NotebookExecutionManager(notebook, progress_bar=False, autosave_cell_every=0)
    client = PapermillNotebookClient(manager, km=starting, kernel_name=NAME, timeout=None)
    manager.notebook_start()
    try:
        with kill_on_signal(starting.provisioner.pid):  # type: ignore[union-attr]  # it has been started
            client.execute(cleanup_kc=False)
    except RuntimeError as error:  # the kernel died, or did not start
        return manager.nb, error
    finally:
        manager.notebook_complete()
        if client.kc is not None:
            client.kc.stop_channels()
        leave(starting)
    return manager.nb, None


def _write_notebook(executed: NotebookNode, partial: Path, place: Path) -> None:
    """The notebook as it ran, with the folder that it will be in, and trusted by this user's Jupyter."""
    import nbformat  # noqa: PLC0415  # the kernel starts first
    from nbformat.sign import NotebookNotary  # noqa: PLC0415

    hidden, shown = (json.dumps(str(path), ensure_ascii=False)[1:-1] for path in (partial, place))
    text: str = nbformat.writes(executed).replace(hidden, shown)  # type: ignore[no-untyped-call]
    (partial / EXECUTED).write_text(f"{text}\n", encoding="utf-8")
    with suppress(OSError):  # a user without a home has no Jupyter to trust it
        NotebookNotary().sign(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]


def _facts(plan: Plan, run: str, found: list[dict[str, Any]], problem: Failure | None) -> dict[str, Any]:
    """The manifest, apart from files and timings."""
    wanted, figures = plan.asked, kpis(found)
    return {
        "report": wanted.notebook.name,
        "run": run,
        "key": plan.key,
        "status": FAILED if problem else COMPLETED,
        "error": problem.as_json() if problem else None,
        "generated": iso(wanted.now),
        "pointer": wanted.pointer,
        "notebook": {"file": wanted.notebook.path.name, "sha256": wanted.notebook.digest},
        "parameters": {name: value for name, value in wanted.values.items() if name != OUT_DIR},
        "window": window_json(plan.window),
        "store": {"url": plan.store.url, "version": plan.version} if plan.store else None,
        "synthetic": plan.synthetic,
        "rows": plan.rows(figures),
        "kpis": figures,
        "quality": build_badge(current_verdicts(plan.store)) if plan.store else None,
        "versions": versions(),
    }


def _write_page(
    plan: Plan, draft: Draft, found: list[dict[str, Any]], facts: Mapping[str, Any], problem: Failure | None
) -> None:
    from hanzo_reports.html.page import render  # noqa: PLC0415  # the kernel starts first

    wanted = plan.asked
    page = render(
        found,
        {
            "title": wanted.notebook.title,
            "subtitle": wanted.notebook.subtitle,
            "zone": wanted.timezone,
            "project": str(wanted.values.get("project", "")),
            "window": plan.window.name if plan.window else "",
            "generated": facts["generated"],
            "events": facts["rows"],
            "run": facts["run"],
            "quality": facts["quality"],
            "synthetic": plan.synthetic,
            "banner": str(problem) if problem else None,
            "traceback": problem.traceback if problem else None,
        },
    )
    (draft.partial / PAGE).write_text(page, encoding="utf-8")
