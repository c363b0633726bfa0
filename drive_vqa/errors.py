"""The errors that drive-vqa raises on purpose.

    DriveVqaError
    ├── ConfigError        a setting is unknown, of the wrong type or out of range
    ├── LogFormatError     a driving log does not follow its format
    ├── CalibrationError   a pose, a camera matrix or a box is not usable
    ├── StoreError         a table of a store is missing, unreadable or of another version
    ├── ModelError         a model folder cannot be loaded or does not fit the questions
    ├── PredictionError    a predictions file cannot be scored
    ├── RecordError        a file of exchanged records does not follow its layout
    └── DependencyError    an optional package or system library is absent

Every message names the file, the record and the mend, in one sentence. Anything else that escapes is a bug.
"""

from __future__ import annotations


class DriveVqaError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(DriveVqaError):
    """A setting is unknown, of the wrong type or out of range."""


class LogFormatError(DriveVqaError):
    """A driving log does not follow its format."""


class CalibrationError(DriveVqaError):
    """A pose, a camera matrix or a box is not usable."""


class StoreError(DriveVqaError):
    """A table of a store is missing, unreadable or of another version."""


class ModelError(DriveVqaError):
    """A model folder cannot be loaded or does not fit the questions."""


class PredictionError(DriveVqaError):
    """A predictions file cannot be scored."""


class RecordError(DriveVqaError):
    """A file of exchanged records does not follow its layout."""


class DependencyError(DriveVqaError):
    """An optional package or system library is absent."""
