"""Dagster, and nothing else: assets, checks, partitions, jobs, schedules, resources, metadata. No rules live here.

An asset's body calls one step of ``autoflex_pipeline.runs`` and says what came of it.
"""
