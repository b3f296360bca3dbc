"""Alerts: one message per change of state of a trouble (opened, worse, recovered), to a webhook, a mailbox or the log.

``watching`` finds what is wrong, ``keeping`` compares that with what is known and writes messages into the outbox of
the state store, ``sending`` sends them. Nothing here imports Dagster; what it knows comes in as ``Watched``.
"""
