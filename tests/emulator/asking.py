"""How these tests ask: once as a plain function call of the pure part, once over real HTTP."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.emulator import events
from agent.emulator.answer import answer
from agent.emulator.default_vm import default_vm
from agent.emulator.exchange import Request, Response
from agent.emulator.versions import Service

DOCUMENTS = Path(__file__).parent.parent / "documents" / "imds"
HEADER = {"metadata": "true"}


def document(name):
    return json.loads((DOCUMENTS / name).read_text(encoding="utf-8"))


def said(
    target, *, method="GET", headers=HEADER, body=b"", service=None, vm=None, schedule=None, emptied=(), others=None
) -> Response:
    """Return what the pure part answers."""
    path, _, query = target.partition("?")
    request = Request(method=method, path=path, query=query, headers=headers, body=body)
    return answer(
        request, service or Service(), vm or default_vm(), schedule or events.Schedule(), emptied, others=others
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def ask(url, method="GET", headers=HEADER, body=None, timeout=5.0) -> Answer:
    """Ask over HTTP, with a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        payload = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        connection.request(method, target, body=payload, headers=headers)
        with connection.getresponse() as response:
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
    finally:
        connection.close()
