"""Real Hadoop, or why it is not here."""

import os

import pytest

from tests.hdfs.hadoop import NoHadoop, classpath


@pytest.fixture(scope="session")
def hadoop_here() -> None:
    try:
        classpath()
    except NoHadoop as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
