"""Spend ahead: daily spend goes in, a month's end with its uncertainty comes out; and how good such answers were."""

from hanzo_reports.forecast.answer import Day, Forecast, forecast, forecasts
from hanzo_reports.forecast.series import Panel, daily_spend

__all__ = ["Day", "Forecast", "Panel", "daily_spend", "forecast", "forecasts"]
