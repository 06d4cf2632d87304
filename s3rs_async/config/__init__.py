"""What is configured: connections, parsed once into strict frozen models.

After this package nobody validates. It builds nothing: a setting is a value, a component is not.
"""

from .connections import (
    Connections,
    S3Config,
    SourceConfig,
    TargetConfig,
    TunnelConfig,
    load_connections,
    one_of,
)

__all__ = [
    "Connections",
    "S3Config",
    "SourceConfig",
    "TargetConfig",
    "TunnelConfig",
    "load_connections",
    "one_of",
]
