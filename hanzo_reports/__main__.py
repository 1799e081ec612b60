"""Runs the command line as ``python -m hanzo_reports``."""

from hanzo_reports.cli import main

if __name__ == "__main__":
    main()
