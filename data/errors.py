"""The error that every door of the `data` room raises."""


class DataError(ValueError):
    """Media, captions or prepared records that cannot be used; the message says what to do."""


class PreparationError(RuntimeError):
    """The source holds too little that can be used; the report names every file and reason."""
