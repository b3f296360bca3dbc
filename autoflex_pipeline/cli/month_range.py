"""What ``--from`` and ``--to`` mean where one of them is left out."""

from __future__ import annotations

from autoflex_pipeline.errors import ConfigurationError


def both_ends(first: str | None, last: str | None, *, current: str) -> tuple[str, str]:
    """First and last month (YYYY-MM); one that is left out is the current one.

    ConfigurationError for a month that is none, and for one end alone that lies on the wrong side of the current month.
    """
    from autoflex_pipeline.sources.window import month_bounds

    months = (first or current, last or current)
    try:
        starts, ends = (month_bounds(month)[0] for month in months)
    except ValueError as error:
        raise ConfigurationError(f"--from/--to: {error}") from None
    if starts > ends and last is None:
        raise ConfigurationError(
            f"--to is missing, and is then the current month, {current}, which lies before --from {first}: "
            "give --to too"
        )
    if starts > ends and first is None:
        raise ConfigurationError(
            f"--from is missing, and is then the current month, {current}, which lies after --to {last}: "
            "give --from too"
        )
    return months
