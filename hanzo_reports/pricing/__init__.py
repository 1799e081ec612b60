"""Prices: what a request costs by the provider's list price, and how a cost splits by kind of token.

Others use `price_events` (costs at load time), `split_costs` (costs by kind of token), `compare_with_list` (reported
against list prices) and `price_cards`, `list_name`, `price_list_version` (the price list itself).
"""
