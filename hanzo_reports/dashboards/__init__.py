"""Dashboards: one module for each question, whose class gives the panels of a report.

Others use the class of a question (`overview.OverviewDashboard`, `costs.CostDashboard`, `models.ModelDashboard`,
`api_keys.ApiKeyDashboard`, `budgets.BudgetDashboard`, `quality.QualityDashboard`) and `quality.render_verdicts`.
"""
