"""Fixtures of budgets, and of a store with spend."""

from budget_fixtures import address, budgets, lake, spend

__all__ = ["address", "budgets", "lake", "spend"]
