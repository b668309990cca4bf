"""Every exception imagetest raises on purpose.

ImagetestError
├── UsageError                 exit 4: what was asked for makes no sense
│   ├── ConfigError            exit 4: a setting is missing or wrong
│   ├── DocumentError          exit 4: a stored assessment cannot be read
│   └── PluginError            exit 4: a named driver, reporter, ... cannot be loaded
├── InfrastructureError        exit 3: the judgement could not be made
│   ├── ProcessError           a local program is missing, failed or timed out
│   ├── EngineError            the container engine refused or could not be reached
│   ├── BakeError              the builder did not produce an image
│   ├── BootError              the instance never became reachable
│   ├── MachineLostError       the instance stopped answering
│   ├── LeakError              something could not be removed
│   ├── StorageError           a report or record could not be written
│   └── RegistryError          the registry refused or could not be reached
└── GateClosedError            exit 1: the verdict forbids promotion
"""

from __future__ import annotations


class ImagetestError(Exception):
    """Base of the tree: what went wrong, and what to do about it."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def explain(self) -> str:
        """Return what a user should read: the message, and the remedy on a line of its own where there is one."""
        return f"{self}\n  {self.hint}" if self.hint else str(self)


class UsageError(ImagetestError):
    """What was asked for makes no sense."""


class ConfigError(UsageError):
    """A setting is missing or wrong."""


class DocumentError(UsageError):
    """A stored assessment cannot be read."""


class PluginError(UsageError):
    """A named driver, reporter, ... cannot be loaded."""


class InfrastructureError(ImagetestError):
    """The judgement could not be made."""

    exit_code = 3


class ProcessError(InfrastructureError):
    """A local program is missing, failed or timed out."""


class EngineError(InfrastructureError):
    """The container engine or AWS refused or could not be reached."""


class BakeError(InfrastructureError):
    """The builder did not produce an image."""


class BootError(InfrastructureError):
    """The instance never became reachable."""


class MachineLostError(InfrastructureError):
    """The instance stopped answering."""


class LeakError(InfrastructureError):
    """Something could not be removed."""


class StorageError(InfrastructureError):
    """A report or record could not be written."""


class RegistryError(InfrastructureError):
    """The registry refused or could not be reached."""


class GateClosedError(ImagetestError):
    """The verdict forbids promotion."""

    exit_code = 1
