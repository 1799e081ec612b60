"""Monthly budgets of projects: their limits, their spend and its notifications, and whether a request may be made.

`budget.Budget` is a limit, `budget_store.Budgets` stores them, `status` and `crossings` compare them with spend and
`decision` answers requests, with `reservations` for those whose events have not arrived.
"""
