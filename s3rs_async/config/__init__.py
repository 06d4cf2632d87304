"""What is configured: connections and pipelines, parsed once into strict frozen values.

After this package nobody validates. It builds nothing: a setting is a value, a component is not.
"""

from .connections import (
    Connections,
    LimitsConfig,
    S3Config,
    SourceConfig,
    TargetConfig,
    TunnelConfig,
    WantedProtocol,
    load_connections,
    one_of,
)
from .pipeline import Pipeline, check_pipeline, load_pipeline, load_pipelines
from .tables import Entry

__all__ = [
    "Connections",
    "Entry",
    "LimitsConfig",
    "Pipeline",
    "S3Config",
    "SourceConfig",
    "TargetConfig",
    "TunnelConfig",
    "WantedProtocol",
    "check_pipeline",
    "load_connections",
    "load_pipeline",
    "load_pipelines",
    "one_of",
]
