"""A small HTTP client of the API server with one identity: paths in, JSON out, errors with the server's words."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests

from tests.controlplane.certs import KeyPair

if TYPE_CHECKING:
    from typing_extensions import Self

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
TIMEOUT = (30, 30)  # seconds to connect, which for TLS includes the handshake, and to read


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, the text has its message."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.body = response.text
        super().__init__(f"{response.request.method} {response.request.url}: {self.status} {self.body}")


class ApiSession:
    """Requests as one user, by client certificate or bearer token."""

    def __init__(
        self, url: str, ca_file: Path, *, identity: KeyPair | None = None, token: str | None = None, agent: str = "test"
    ) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False  # else REQUESTS_CA_BUNDLE wins over verify
        self.http.verify = str(ca_file)
        self.http.headers["User-Agent"] = agent  # the part before "/" is the field manager
        if identity:
            self.http.cert = (str(identity.certificate), str(identity.key))
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"

    def raw(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: object,
    ) -> requests.Response:
        """Send one request and return whatever comes, refusals included."""
        return self.http.request(
            method,
            self.url + path,
            json=body,
            params={name: str(value) for name, value in query.items()},
            headers={"Content-Type": content_type, "Accept": accept},
            timeout=TIMEOUT,
        )

    def call(self, method: str, path: str, body: object = None, **options: Any) -> dict[str, Any]:
        """Send one request and return its JSON.

        Raises:
            ApiError: the status is 400 or above.
        """
        response = self.raw(method, path, body, **options)
        if response.status_code >= 400:
            raise ApiError(response)
        found: dict[str, Any] = response.json()
        return found

    def get(self, path: str, **query: object) -> dict[str, Any]:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Mapping[str, object], **query: object) -> dict[str, Any]:
        return self.call("POST", path, body, **query)

    def put(self, path: str, body: Mapping[str, object], **query: object) -> dict[str, Any]:
        return self.call("PUT", path, body, **query)

    def patch(self, path: str, body: object, content_type: str = MERGE, **query: object) -> dict[str, Any]:
        return self.call("PATCH", path, body, content_type=content_type, **query)

    def apply(
        self, path: str, body: Mapping[str, object], *, manager: str, force: bool = False, **query: object
    ) -> dict[str, Any]:
        """Server-side apply as the field manager; JSON is YAML."""
        force_query = {"force": "true"} if force else {}
        return self.call("PATCH", path, body, content_type=APPLY, fieldManager=manager, **force_query, **query)

    def delete(self, path: str, body: object = None, **query: object) -> dict[str, Any]:
        return self.call("DELETE", path, body, **query)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
