"""The outbox, the channels it is sent through, and the signed webhooks."""
