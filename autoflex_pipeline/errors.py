"""The errors that a person reads. Each message names the thing, the value, the rule and the next step."""

from __future__ import annotations

import traceback
from pathlib import Path


class PipelineError(Exception):
    """Base of what this product raises on purpose; its text is fit to be shown and logged (never a secret)."""


class ConfigurationError(PipelineError):
    """The configuration file, or a variable that it names, is wrong. Retrying cannot help."""


class CredentialsMissingError(ConfigurationError):
    """A variable that holds one dealer's secret is not set: that dealer fails, the others go on."""


class LoginRefusedError(ConfigurationError):
    """The vendor refused the credentials. Retrying cannot help; the schedule backs off."""


class SourceError(PipelineError):
    """The DMS could not be read (further); what came so far is used, the extract is partial."""


class StoreBusyError(PipelineError):
    """Another process held the warehouse or a dealer longer than the bounded wait."""


class RunRefusedError(PipelineError):
    """A run may not start now: the disk is nearly full, or the clock is wrong. Nothing was touched."""


class DamagedError(PipelineError):
    """A file of the pipeline cannot be read any more: it was cut off or overwritten."""


class DiskError(PipelineError):
    """A file of the pipeline cannot be written: the disk is full, or it fails."""


def unexpected(error: BaseException) -> str:
    """What to say of an error that nobody foresaw: its kind and place.

    Its text is not shown: it may hold what the vendor sent, or a secret.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"unexpected {type(error).__name__} at {where}: a defect of this program; report it"
