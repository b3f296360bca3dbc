"""Where a value comes from and where it went: the trace of a work order, forward from a raw record, between columns.

Reads only. Nothing here imports Dagster, pandera or SQLAlchemy: a trace is to be there before one has thought of the
next question.
"""

from __future__ import annotations
