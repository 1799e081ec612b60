"""Forecasts: daily spend to the spend at a month's end with its interval, and how accurate such forecasts were.

`forecast` takes a mapping of days, `daily_spend` and `forecast_panel` take events. `anomalies`, `backtest` and
`scorecard` are modules of their own.
"""

from hanzo_reports.forecast.month_end import Day, Forecast, forecast, forecast_panel
from hanzo_reports.forecast.series import SpendPanel, daily_spend

__all__ = ["Day", "Forecast", "SpendPanel", "daily_spend", "forecast", "forecast_panel"]
