"""Delivery: the outbox, the worker that empties it, and the channels that it goes through.

Others use `outbox.enqueue`, `worker.deliver`, `endpoints` and `notice.Notice`; a new channel is one file in
`channels/`.
"""
