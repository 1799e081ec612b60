"""Runs notebooks into reports: one folder a run, with its page, its data and a manifest."""

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
from hanzo_reports.reports.archive import MANIFEST, Archive, read_manifest
from hanzo_reports.reports.kernel import NAME, kill_on_signal, request_shutdown, start_kernel, wait_for_shutdown
from hanzo_reports.reports.manifest import (
    collect_kpis,
    describe_exports,
    describe_files,
    package_versions,
    window_json,
)
from hanzo_reports.reports.outcome import Failure, collect_parts, find_failure
from hanzo_reports.reports.parameters import OUT_DIR, Parameter, check_parameters
from hanzo_reports.reports.plan import Plan, build_request, plan_run
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
    """A completed report.

    Args:
        name: the report.
        id: the run's name: its time and the start of its key.
        key: the SHA-256 of what it depends on: notebook, parameters, window, data, package.
        status: ``completed``; a run that fails raises.
        folder: the folder with all its files.
        page: the page in it.
        manifest: the content of manifest.json.
        fresh: whether it ran now; False if it existed already.
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
    return notebooks.notebook_names()


def report_parameters(name: str) -> list[Parameter]:
    """The parameters of a report: name, type, default, meaning.

    Args:
        name: a report of the package, or the path of a notebook.

    Raises:
        UnknownNameError: no report has that name.
        UnreadableError: its notebook cannot be read.
    """
    return notebooks.load_notebook(name).parameters


def run_report(  # noqa: PLR0913  # what, when, where to, and two that have defaults
    name: str, params: Mapping[str, Any], *, now: datetime, out: Path, if_missing: bool = False, state: str = ""
) -> Run:
    """Runs a notebook into a report, in a folder of its own: ``<out>/<report>/<time>-<key>``.

    Args:
        name: a report of the package, or the path of a notebook.
        params: values that differ from the notebook's defaults; text is converted to the parameter's type.
        now: the instant of the run; ranges end at it unless `window_end` is given. It must carry an offset.
        out: the folder of all reports.
        if_missing: return the newest run with the same key, if one exists, and run nothing.
        state: for ClickHouse, the address of the state; the notebook itself reads it from `HANZO_REPORTS_STATE`.

    Raises:
        UnknownNameError: no report, parameter or time zone has that name.
        UnreadableError: the notebook cannot be read.
        ParameterError: a parameter has the wrong type, or looks like a secret.
        WindowError: the window cannot be read.
        StoreError: there is no store at the address.
        LockedError: another process is running this report.
        ReportFailedError: the notebook did not run to its end; the run is kept as ``<run>.failed``.
    """
    started = perf_counter()
    notebook = notebooks.load_notebook(name)
    request = build_request(notebook, check_parameters(notebook.parameters, params, notebook.name), now)
    archive = Archive(out.absolute() / notebook.name)
    with ExitStack() as stack:
        start = partial(start_kernel, request.address)
        kernel = None if if_missing else stack.enter_context(start())  # starts while the store is opened
        plan = plan_run(request, state)
        if if_missing and (existing := archive.find_run(plan.key)):
            return _build_run(archive, existing, fresh=False)
        draft = stack.enter_context(archive.draft(now, plan.key))
        manifest, failure = _execute(plan, draft, kernel or stack.enter_context(start()), started)
        folder = draft.publish(failed=failure is not None)
        if failure:
            msg = f"Report {notebook.name!r} failed in {failure}; its partial output is in {folder}"
            raise ReportFailedError(msg)
        if not _is_older(plan, read_manifest(archive.folder / request.pointer)):
            archive.point(request.pointer, draft.id)
        return _build_run(archive, manifest, fresh=True)


def _build_run(archive: Archive, manifest: dict[str, Any], *, fresh: bool) -> Run:
    folder = archive.folder / manifest["run"]
    name, run, key, status = (manifest[field] for field in ("report", "run", "key", "status"))
    return Run(name, run, key, status, folder, folder / PAGE, manifest, fresh)


def _is_older(plan: Plan, latest: Mapping[str, Any]) -> bool:
    """Whether the run back-fills an earlier window than that of the latest run."""
    window = latest.get("window")
    return bool(plan.request.backfill and plan.window and window and iso(plan.window.end) < window["end"])


def _execute(
    plan: Plan, draft: Draft, kernel: AsyncKernelManager, started: float
) -> tuple[dict[str, Any], Failure | None]:
    """Executes the notebook and writes all files of the run; returns its manifest and why it failed, if it did."""
    checks = perf_counter()
    executed, interruption = _execute_notebook(plan, draft, kernel)
    failure, parts = find_failure(executed, interruption), collect_parts(executed)
    folder = draft.final_path(failed=failure is not None)
    ran = perf_counter()
    _write_notebook(executed, draft.partial, folder)
    facts = _describe_run(plan, folder.name, parts, failure)
    _write_page(plan, draft, parts, facts, failure)
    wait_for_shutdown(kernel)
    finished = perf_counter()
    steps = {"checks": checks - started, "notebook": ran - checks, "page": finished - ran, "total": finished - started}
    manifest = {
        **facts,
        "exports": describe_exports(draft.partial, parts),
        "files": describe_files(draft.partial),
        "seconds": {step: round(seconds, 3) for step, seconds in steps.items()},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, default=str)
    (draft.partial / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    return manifest, failure


def _execute_notebook(plan: Plan, draft: Draft, kernel: AsyncKernelManager) -> tuple[NotebookNode, Exception | None]:
    """Returns the notebook with its outputs, and what ended it other than an exception in a cell."""
    from papermill.clientwrap import PapermillNotebookClient  # noqa: PLC0415  # the kernel starts meanwhile
    from papermill.engines import NotebookExecutionManager  # noqa: PLC0415
    from papermill.iorw import load_notebook_node  # noqa: PLC0415
    from papermill.parameterize import parameterize_notebook  # noqa: PLC0415

    notebook = load_notebook_node(str(plan.request.notebook.path))
    values = dict(plan.request.values)
    if values:
        values |= {OUT_DIR: str(draft.partial)} if OUT_DIR in values else {}
        notebook = parameterize_notebook(notebook, values, kernel_name=NAME, language="python")
    manager = NotebookExecutionManager(notebook, progress_bar=False, autosave_cell_every=0)
    client = PapermillNotebookClient(manager, km=kernel, kernel_name=NAME, timeout=None)
    manager.notebook_start()
    try:
        with kill_on_signal(kernel.provisioner.pid):  # type: ignore[union-attr]  # it has started
            client.execute(cleanup_kc=False)
    except RuntimeError as error:  # the kernel died, or did not start
        return manager.nb, error
    finally:
        manager.notebook_complete()
        if client.kc is not None:
            client.kc.stop_channels()
        request_shutdown(kernel)
    return manager.nb, None


def _write_notebook(executed: NotebookNode, partial: Path, folder: Path) -> None:
    """Writes the notebook as it ran, with its final folder, and signs it so that this user's Jupyter trusts it."""
    import nbformat  # noqa: PLC0415  # the kernel starts first
    from nbformat.sign import NotebookNotary  # noqa: PLC0415

    hidden, final = (json.dumps(str(path), ensure_ascii=False)[1:-1] for path in (partial, folder))
    text: str = nbformat.writes(executed).replace(hidden, final)  # type: ignore[no-untyped-call]
    (partial / EXECUTED).write_text(f"{text}\n", encoding="utf-8")
    with suppress(OSError):  # a user without a home directory has no Jupyter that could trust it
        NotebookNotary().sign(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]


def _describe_run(plan: Plan, run: str, parts: list[dict[str, Any]], failure: Failure | None) -> dict[str, Any]:
    """The manifest without files and timings."""
    request, kpis = plan.request, collect_kpis(parts)
    return {
        "report": request.notebook.name,
        "run": run,
        "key": plan.key,
        "status": FAILED if failure else COMPLETED,
        "error": failure.as_json() if failure else None,
        "generated": iso(request.now),
        "pointer": request.pointer,
        "notebook": {"file": request.notebook.path.name, "sha256": request.notebook.digest},
        "parameters": {name: value for name, value in request.values.items() if name != OUT_DIR},
        "window": window_json(plan.window),
        "store": {"url": plan.store.url, "version": plan.version} if plan.store else None,
        "synthetic": plan.synthetic,
        "rows": plan.rows(kpis),
        "kpis": kpis,
        "quality": build_badge(current_verdicts(plan.store)) if plan.store else None,
        "versions": package_versions(),
    }


def _write_page(
    plan: Plan, draft: Draft, parts: list[dict[str, Any]], facts: Mapping[str, Any], failure: Failure | None
) -> None:
    from hanzo_reports.html.page import render_page  # noqa: PLC0415  # the kernel starts first

    request = plan.request
    page = render_page(
        parts,
        {
            "title": request.notebook.title,
            "subtitle": request.notebook.subtitle,
            "zone": request.timezone,
            "project": str(request.values.get("project", "")),
            "window": plan.window.name if plan.window else "",
            "generated": facts["generated"],
            "events": facts["rows"],
            "run": facts["run"],
            "quality": facts["quality"],
            "synthetic": plan.synthetic,
            "banner": str(failure) if failure else None,
            "traceback": failure.traceback if failure else None,
        },
    )
    (draft.partial / PAGE).write_text(page, encoding="utf-8")
