import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.emulator import Emulator

ROOT = Path(__file__).parent.parent.parent
ASK = """
import sys
from agent.clients.imds import Imds
with Imds(sys.argv[1]) as imds:
    print(imds.instance().value.name, len(imds.events().value.events))
"""
NAIVE = """
import sys, requests
try:
    requests.get(sys.argv[1] + "/metadata/instance?api-version=2025-04-07", headers={"Metadata": "true"}, timeout=5)
except (requests.exceptions.ProxyError, OSError) as error:
    print(type(error).__name__)
"""


def run(program, url, **variables):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-W", "error", "-c", program, url]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def nobody():
    """Hold an address where nobody answers, so that whoever goes through it fails."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("names", [("HTTP_PROXY", "http_proxy"), ("ALL_PROXY", "all_proxy")])
def test_a_proxy_of_the_environment_is_never_used(names, nobody):
    with Emulator() as emulator:
        name = emulator.world.instance(None)["compute"]["name"]
        variables = {**dict.fromkeys(names, nobody), "REQUESTS_CA_BUNDLE": "/nonexistent", "CURL_CA_BUNDLE": "/none"}
        done = run(ASK, emulator.url, **variables)
        assert (done.stdout, done.stderr) == (f"{name} 0\n", "")
        asked = len(emulator.requests())
        naive = run(NAIVE, emulator.url, **variables)
        assert naive.stdout == "ProxyError\n"  # the variables do what they should to others
        assert len(emulator.requests()) == asked
