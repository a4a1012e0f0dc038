"""Errors that callers may want to catch; bad arguments raise `ValueError` or `TypeError`."""


class SnareError(Exception):
    """Base of every error that is about a model, a plan or a file, not about one argument."""


class UnsupportedModelError(SnareError):
    """The model, or a part of it that the call needs, cannot be handled."""


class InvalidPlanError(SnareError, ValueError):
    """A plan of cuts does not fit the model; nothing was changed."""


class SnapshotError(SnareError):
    """A stored candidate is missing, damaged or belongs to another model."""


class CodecError(SnareError):
    """A packed file is damaged or not in the packed format."""


class EngineError(SnareError):
    """Workers of another engine died again and again."""
