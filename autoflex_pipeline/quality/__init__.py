"""Whether what comes from the DMS is as usual: schema, volume, changes, values, references, quarantine.

Plain functions on the warehouse; each gives a ``Verdict``. They compare a dealer with its own past only, they never
stop a delivery, and with too little past they say so and pass. What is certainly wrong is sorted out by staging.
"""

from autoflex_pipeline.quality.judging import judge
from autoflex_pipeline.quality.verdict import CHECKS, Check, JudgedDealer, Verdict

__all__ = ["CHECKS", "Check", "JudgedDealer", "Verdict", "judge"]
