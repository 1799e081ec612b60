"""Tables written to files for other tools: CSV, JSON, JSON lines, Parquet, FOCUS."""
