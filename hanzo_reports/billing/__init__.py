"""Provider bills, kept in a table of their own, and computed spend beside them.

Others use `load.load_bills`, `reconciliation.reconciliation` and the questions about kept lines in `bill_lines`.
"""
