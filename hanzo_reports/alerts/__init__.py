"""Alerts: rules, their state machine, and the pass that evaluates them."""
