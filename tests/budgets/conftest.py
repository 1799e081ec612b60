"""Budgets, and a store of spend."""

from budget_fixtures import address, budgets, lake, spend

__all__ = ["address", "budgets", "lake", "spend"]
