"""What a test needs and cannot have: CI fails for it, and elsewhere the test is skipped, with the reason and how to get it."""

import os
from typing import NoReturn

import pytest


def not_here(why: object) -> NoReturn:
    """End a test, or a fixture, since something is missing."""
    if os.environ.get("CI"):
        pytest.fail(str(why), pytrace=False)
    pytest.skip(str(why))
