"""A store whose address has a password: the kernel gets it, the run's files do not."""

from postgres_server import PASSWORD

import hanzo_reports as hr
from hanzo_reports import store


def test_the_notebook_opens_the_store_and_keeps_no_password(run, notebook, postgres, database, tmp_path):
    role, name = postgres.role(), database.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} OWNER TO {role}")
    address = postgres.address(name, role, PASSWORD)
    store.open(address, create=True)
    path = notebook("asks", "import hanzo_reports as hr", "hr.open(store, now=window_end).condition()['events']")
    done = run(path, tmp_path, store=address)
    assert done.status == "completed"
    assert done.manifest["store"] == {"url": postgres.address(name, role), "version": "0"}
    encoded = address.partition("//")[2].partition("@")[0].partition(":")[2]
    texts = [file.read_text(errors="replace") for file in done.folder.rglob("*") if file.is_file()]
    assert len(texts) > 2
    assert [text for text in texts if PASSWORD in text or encoded in text] == []


def test_a_workspace_opened_with_a_password_makes_reports(notebook, postgres, database, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    role, name = postgres.role(), database.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} OWNER TO {role}")
    workspace = hr.open(postgres.address(name, role, PASSWORD), now="2025-06-08T00:00:00Z", create=True)
    assert PASSWORD not in repr(workspace)
    assert "s3cret" not in repr(workspace)
    path = notebook("asks", "import hanzo_reports as hr", "hr.open(store, now=window_end).condition()['events']")
    assert workspace.report(str(path), out=tmp_path / "out").status == "completed"
    monkeypatch.setenv("HANZO_REPORTS_STORE", postgres.address(name, role, PASSWORD))
    assert hr.open(postgres.address(name, role), now="2025-06-08T00:00:00Z").store.version == "0"
