"""Prometheus itself, scraping every second with our rules: for as long as a block lasts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.addresses import free_address
from tests.monitoring.written import RULES
from tests.promises.agents import wait_until


class Server:
    """A Prometheus that runs."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expr}, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def rules(self) -> list[dict[str, Any]]:
        groups = requests.get(f"{self.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def targets(self) -> str:
        """Return what is scraped and what is not, for a failure's text."""
        return requests.get(f"{self.url}/api/v1/targets", timeout=10).text

    def firing(self, name: str) -> list[dict[str, str]]:
        """Return the labels of an alert's instances that fire, without its own."""
        found = [alert for rule in self.rules() if rule["name"] == name for alert in rule["alerts"]]
        return [
            {key: value for key, value in alert["labels"].items() if key not in ("alertname", "severity")}
            for alert in found
            if alert["state"] == "firing"
        ]


def job(name: str, at: str, *, honor_labels: bool = False, **labels: str) -> dict[str, Any]:
    """Return what is scraped.

    Args:
        at: HOST:PORT.
        labels: those that a PodMonitor or a ServiceMonitor would give.
    """
    return {
        "job_name": name,
        "honor_labels": honor_labels,
        "static_configs": [{"targets": [at], "labels": labels}],
    }


def hastened(folder: Path) -> Path:
    """Write our rules with each alert's wait cut to a second."""
    path = folder / "rules.yaml"
    path.write_text(re.sub(r"\bfor: \d+\w", "for: 1s", RULES.read_text(encoding="utf-8")))
    return path


@contextmanager
def serving(program: Path, folder: Path, *jobs: dict[str, Any], rules: Path = RULES) -> Iterator[Server]:
    """Start Prometheus, which scrapes these."""
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    with running(
        program, folder, {"global": every, "rule_files": [str(rules)], "scrape_configs": list(jobs)}
    ) as server:
        yield server


@contextmanager
def running(program: Path, folder: Path, settings: dict[str, Any]) -> Iterator[Server]:
    """Start Prometheus with these settings."""
    folder.mkdir(exist_ok=True)
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(settings))
    address = free_address()
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            server = Server(address)
            wait_until(server.ready, "Prometheus is ready", (folder / "log").read_text)
            yield server
        finally:
            process.terminate()
            process.wait()
