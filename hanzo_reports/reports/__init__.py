"""Reports: notebooks run into pages, and files for other tools."""
