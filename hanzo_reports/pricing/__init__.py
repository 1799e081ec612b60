"""Prices: what a request costs by a provider's list price, and how a cost splits by kind of token."""
