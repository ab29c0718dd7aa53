"""Real Hadoop, or why it is not here."""

from contextlib import suppress

import pytest

from tests.built import used_fixtures
from tests.hdfs.hadoop import NoHadoop, classpath
from tests.not_here import not_here


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch it here and not in a fixture: it may take more time than a test has."""
    if "hadoop_here" in used_fixtures(session) and not session.config.option.collectonly:
        with suppress(NoHadoop):  # the fixture says why
            classpath()


@pytest.fixture(scope="session")
def hadoop_here() -> None:
    try:
        classpath()
    except NoHadoop as missing:
        not_here(missing)
