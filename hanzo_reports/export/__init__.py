"""Tables as files for other tools.

`tables.write_table` writes CSV, JSON, JSON lines and Parquet, `tables.format_table` returns a small table as text;
`focus.charges` is the table of FOCUS 1.2.
"""
