"""What answers at IMDS's address is told from its answers."""

from datetime import datetime, timedelta, timezone

import pytest

from agent.doctor import service
from agent.doctor.service import Probe
from tests.doctor.builders import WELL, host

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("error", "in_pod", "verdict", "advice"),
    [
        (None, False, "ok", ""),
        ("timeout", False, "bad", "swallowed"),
        ("timeout", True, "bad", "AKS IMDS restriction"),
        ("Connection refused", False, "bad", "Nothing listens"),
    ],
)
def test_a_connection_is_made_swallowed_or_refused(error, in_pod, verdict, advice):
    found = service.connection("http://x", error, host(in_pod=in_pod))
    assert found.verdict == verdict
    assert advice in found.advice
    assert ("hostNetwork" in service.connection("http://x", "timeout", WELL).advice) is False


@pytest.mark.parametrize(
    ("probe", "header", "version"),
    [
        (Probe(status=400, said="Bad request", has_hint=True), "ok", "ok"),
        (Probe(status=200, said="<html>", is_page=True), "warn", "bad"),
        (Probe(status=400, said="<html>", is_page=True), "warn", "bad"),
        (Probe(status=200, said="{}"), "warn", "bad"),
        (Probe(status=None, said="no answer"), "unknown", "unknown"),
    ],
)
def test_imds_refuses_without_header_and_names_versions_without_one(probe, header, version):
    assert (service.header(probe).verdict, service.version(probe).verdict) == (header, version)


def test_a_page_is_a_proxys_and_json_another_clouds():
    assert "a proxy answers" in service.version(Probe(status=200, said="<html>", is_page=True)).advice
    assert "another cloud" in service.version(Probe(status=200, said="{}")).advice


def test_the_document_is_whole_partial_or_not_there():
    assert service.document(None, ()).verdict == "ok"
    assert service.document(None, ("name",)).found == "lacks name"
    assert service.document("no answer", ()).verdict == "bad"


@pytest.mark.parametrize(
    ("seconds", "verdict", "found"),
    [(0, "ok", "they agree"), (5, "ok", "they agree"), (-5, "ok", "they agree"), (90, "warn", "90 s ahead"), (-3600, "warn", "3600 s behind")],
)  # fmt: skip
def test_the_clock_is_compared_with_the_services(seconds, verdict, found):
    finding = service.clock(NOW, NOW + timedelta(seconds=seconds))
    assert (finding.verdict, finding.found) == (verdict, found)
    assert service.clock(None, NOW).verdict == "unknown"
