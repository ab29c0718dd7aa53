"""Debian's cloud-init takes the same user data apart: what it finds is what we list, in order and to the byte."""

import gzip
import json
import os
import subprocess
import sys
from hashlib import sha256

import pytest

from agent.core.custom_data import OWN_TYPE, decode
from tests.cli.running import PATIENCE
from tests.core.test_custom_data import CONFIG, GIVEN, message
from tests.foreign.packages import CLOUD_INIT
from tests.foreign.test_clients import package

SCRIPT = b"#!/bin/sh\necho\n"
# Its own processing of user data: reads it from standard input, prints type and checksum of each part.
TAKE_APART = """
import hashlib, json, sys
from cloudinit.helpers import Paths
from cloudinit.user_data import UserDataProcessor
found = UserDataProcessor(Paths({"cloud_dir": "/nowhere", "run_dir": "/nowhere"})).process(sys.stdin.buffer.read())
leaves = [part for part in found.walk() if not part.is_multipart()]
sums = [hashlib.sha256(part.get_payload(decode=True)).hexdigest() for part in leaves]
print(json.dumps(list(zip([part.get_content_type() for part in leaves], sums))))
"""
KINDS = {
    "text/cloud-config": "cloud-config",
    "text/cloud-boothook": "boothook",
    "text/jinja2": "jinja",
    "text/part-handler": "part-handler",
    "text/x-shellscript": "script",
    "text/x-shellscript-per-boot": "script",
    OWN_TYPE: "imds-agent",
}


def cloud_inits(raw: bytes) -> list[tuple[str, str]]:
    """Return kind, in our words, and checksum of each part that cloud-init finds."""
    there = package(*CLOUD_INIT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TAKE_APART],
        input=raw,
        env={**os.environ, "PYTHONPATH": f"{there}/usr/lib/python3/dist-packages"},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [(KINDS.get(kind, kind), digest) for kind, digest in json.loads(done.stdout)]


MIXED = message(
    ("text/cloud-config", CONFIG, "config.yaml"),
    ("text/x-shellscript", SCRIPT, "setup.sh"),
    ("text/plain", SCRIPT, None),
    ("text/plain", b"#cloud-boothook\necho\n", None),
    ("text/jinja2", b"## template: jinja\n#cloud-config\n", None),
    ("text/x-shellscript-per-boot", SCRIPT, None),
    (OWN_TYPE, b'{"labels": {}}', None),
)


@pytest.mark.parametrize(
    "raw",
    [
        CONFIG,
        b"\n\n" + SCRIPT,
        b"#part-handler\nimport this\n",
        gzip.compress(CONFIG, mtime=0),
        gzip.compress(CONFIG, mtime=0) + gzip.compress(b"packages: [tree]\n", mtime=0),
        GIVEN,
        MIXED,
        gzip.compress(MIXED, mtime=0),
        message(("application/gzip", gzip.compress(CONFIG, mtime=0), "config.gz")),
        message(("text/plain", b"#Cloud-Config\na: 1\n", None), ("text/plain", b"\n" * 300 + SCRIPT, None)),
        message(("text/x-shellscript", CONFIG, None)),
        message(("text/plain", b"## template: jinja\n#cloud-config\n", None)),
    ],
    ids=["config", "script after empty lines", "part handler", "gzip", "gzip of two members", "message of one",
         "message", "message in gzip", "gzip in message", "marker in capitals", "another type than marker", "marked template"],
)  # fmt: skip
def test_cloud_init_finds_the_parts_that_we_list(raw):
    ours = [(part.kind, part.sha256) for part in decode(raw, encoded=False).parts]
    assert cloud_inits(raw) == ours


def test_cloud_init_knows_nothing_of_our_own_part_and_leaves_it_alone():
    [(kind, digest)] = cloud_inits(b"#imds-agent\n{}")
    assert (kind, digest) == ("text/x-not-multipart", sha256(b"#imds-agent\n{}").hexdigest())
