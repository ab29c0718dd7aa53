"""The root of all errors that a person is told in one line instead of a traceback."""


class Told(Exception):
    """Something outside went wrong; the text says what, where, and what to do."""
