"""Metrics as Ibis expressions: a table goes in, a table comes out; nothing here executes or opens anything."""
