"""A report as one HTML page that needs no network: the page, its panels and its charts. Nothing here queries a store.

Others use `page.render_page`, `components.Part` and `components.Panel`, the builders of `panels`, `charts.Chart` and
`charts.Line`, and `backtest_chart.write_backtest_chart`.
"""
