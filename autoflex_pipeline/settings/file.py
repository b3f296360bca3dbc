"""Finding and reading the configuration file; whatever is wrong with it is one line that names the key and the file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings.sections import Settings

CONFIG_VARIABLE = "AUTOFLEX_CONFIG"
DEFAULT_CONFIG = "autoflex.toml"
MAX_CONFIG_BYTES = 5_000_000


def find_config(path: Path | None = None) -> Path:
    """The configuration file: ``path``, else $AUTOFLEX_CONFIG, else autoflex.toml in the working directory."""
    return Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG).resolve()


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration; ConfigurationError is one line that names the key and the file."""
    file = find_config(path)
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CONFIG_BYTES + 1)
        if len(text) > MAX_CONFIG_BYTES:
            raise ConfigurationError(f"{file}: is larger than {MAX_CONFIG_BYTES} bytes; is it a configuration file?")
        content = tomllib.loads(text.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{file}: there is no such configuration file; name one with --config or ${CONFIG_VARIABLE}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({type(error).__name__}); check the path and mode") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: is not TOML: {error}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or brackets without end
        raise ConfigurationError(f"{file}: holds a number that is too long, or is nested too deeply") from None
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"{file}: {_first_problem(error)}") from None
    return _with_absolute_paths(settings, file.parent)


def _first_problem(error: ValidationError) -> str:
    """One line for the first of pydantic's errors, with the key as it stands in the file."""
    first = error.errors()[0]
    key = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in first["loc"]).replace(".[", "[")
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key; remove it or correct its spelling"
    if first["type"] == "missing":
        return f"{key}: is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return message
    return f"{key}: {first['input']!r}: {message}" if _may_be_shown(key, first["input"]) else f"{key}: {message}"


def _may_be_shown(key: str, value: object) -> bool:
    """Whether the error may repeat the value: not a secret typed in place of a variable's name, or in an address."""
    if not isinstance(value, str | int | float | bool) or len(str(value)) > 80:
        return False
    return not key.endswith("_env") and not {"@", "?"} & set(str(value))


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    warehouse, lineage = settings.warehouse, settings.lineage
    return settings.model_copy(
        update={
            "warehouse": warehouse.model_copy(
                update={
                    "path": folder / warehouse.path,
                    "analytics_path": folder / warehouse.analytics_path,
                    "backup_path": folder / warehouse.backup_path if warehouse.backup_path else None,
                }
            ),
            "lineage": lineage.model_copy(
                update={"openlineage_file": folder / lineage.openlineage_file if lineage.openlineage_file else None}
            ),
        }
    )
