"""Reports: runs notebooks by papermill into folders with a page, exports and a manifest.

Others use `run.run_report`, `run.report_names` and `run.report_parameters`.
"""
