"""The configuration file as one frozen object; nothing else reads the environment.

Secrets are never in the file: a key ending in ``_env`` names the environment variable that holds the value.
"""

from autoflex_pipeline.settings.file import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    MAX_CONFIG_BYTES,
    find_config,
    load_settings,
)
from autoflex_pipeline.settings.secrets import (
    Credentials,
    api_credentials,
    header_secret,
    missing_common_variables,
    query_secret,
    secret,
)
from autoflex_pipeline.settings.sections import (
    AlertKind,
    AlertSettings,
    ApiSettings,
    ClaireSettings,
    DealerAlertSettings,
    DealerSettings,
    EmailSettings,
    LineageSettings,
    OrchestrationSettings,
    PrivacySettings,
    Settings,
    Severity,
    TelemetrySettings,
    WarehouseSettings,
    WebhookSettings,
)
from autoflex_pipeline.settings.values import (
    is_in_clear,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "MAX_CONFIG_BYTES",
    "AlertKind",
    "AlertSettings",
    "ApiSettings",
    "ClaireSettings",
    "Credentials",
    "DealerAlertSettings",
    "DealerSettings",
    "EmailSettings",
    "LineageSettings",
    "OrchestrationSettings",
    "PrivacySettings",
    "Settings",
    "Severity",
    "TelemetrySettings",
    "WarehouseSettings",
    "WebhookSettings",
    "api_credentials",
    "find_config",
    "header_secret",
    "is_in_clear",
    "load_settings",
    "missing_common_variables",
    "query_secret",
    "secret",
]
