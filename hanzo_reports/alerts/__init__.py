"""Alerts: rules on metrics, their state machine, and the messages about them.

Other packages use `run.run_pass`, which evaluates everything once and delivers, `rule_store`, `silences` and
`subscriptions` to manage what is evaluated, and `messages.MessageContext`. `parse.parse_rule` reads rules.
"""
