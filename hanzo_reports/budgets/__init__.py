"""Spending limits: what a budget allows, what is spent and reserved, and whether a request may be made."""
