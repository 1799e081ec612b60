"""Whether numbers can be trusted: suites of expectations, the guard that judges a table by them, and its verdicts."""
