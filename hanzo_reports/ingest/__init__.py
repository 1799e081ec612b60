"""Foreign logs in: read, mapped, priced, checked, appended."""
