"""Whether the data can be trusted: suites of expectations, the guard that checks a table by them, and its verdicts.

Others use `guard.guard`, `store_check.check_store`, `suites.load_suite`, `verdict.Verdict`, `verdict_history`,
`quarantine` and `acceptance`.
"""
