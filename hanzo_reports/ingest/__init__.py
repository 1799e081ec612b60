"""Foreign logs in: planned, read, mapped, priced, validated and committed, one module each.

Others use `load.ingest` (or `load.plan_load` and `load.load`), `mapping_file.load_source` and `source_names`, and
`release.release`. A source is a TOML file in `sources/`; docs/sources.md explains it.
"""
