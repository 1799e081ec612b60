"""Usage, cost, latency and reliability analytics for all services of an AI platform."""
