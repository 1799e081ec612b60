"""A report as one HTML page that needs no network: the page, its components and its charts. Nothing here queries."""
