"""What one run does, step by step, without Dagster: read, stage, compare, deliver, close.

Each step reads what the step before it wrote to the warehouse or the state store. A dealer's failure is noted in the
state store and costs no other dealer anything. Dagster's assets and the tests call these steps; they hold no rules.
"""
