"""Any request that IMDS's public shape allows, and many that it does not, meets an answer of that shape (schemathesis)."""

import json
import subprocess
import sys

import pytest

from agent.emulator import Emulator
from tests.foreign.shape import document

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 25  # of each operation in each phase


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("profile", ["single-vm", "no-zones"])
def test_every_answer_has_the_public_shape(tmp_path, profile):
    shape = tmp_path / "imds.json"
    shape.write_text(json.dumps(document()))
    with Emulator(profile=profile, rate_limit=None) as imds:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(shape),
            f"--url={imds.url}",
            f"--checks={CHECKS}",
        ]
        options = [
            f"--max-examples={EXAMPLES}",
            "--phases=examples,coverage,fuzzing",
            "--no-color",
            "--seed=1",
            "--warnings=off",
        ]
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=840, check=False
        )
        asked = imds.requests()
    assert done.returncode == 0, done.stdout[-6000:]
    assert len(asked) > 500
    statuses = {entry["status"] for entry in asked}
    assert {200, 400, 405} <= statuses
    assert not [entry for entry in asked if entry["status"] >= 500]
