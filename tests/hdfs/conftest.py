"""Real Hadoop, or why it is not here."""

import pytest

from tests.hdfs.hadoop import NoHadoop, classpath
from tests.not_here import not_here


@pytest.fixture(scope="session")
def hadoop_here() -> None:
    try:
        classpath()
    except NoHadoop as missing:
        not_here(missing)
