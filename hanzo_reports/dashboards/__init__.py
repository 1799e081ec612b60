"""Dashboards: one module a question, each giving the panels of a report."""
