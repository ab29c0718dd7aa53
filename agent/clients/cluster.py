"""The Kubernetes API, as much of it as one node's agent needs: read a node, apply to it, patch it.

`ApiClient` and plain dicts: the typed classes cost 20 MiB and a second of CPU. No retry in here: the loop is the retry.
"""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import urllib3.exceptions
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import load_incluster_config, load_kube_config
from kubernetes.config.config_exception import ConfigException

from agent.clients.cluster_errors import SHOWN, ClusterUnavailable, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


Node = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
AT_ONCE = 5  # requests at most at the same time
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the API server.

    Attributes:
        kubeconfig: None for the pod's own service account.
        connect_timeout, read_timeout: seconds; without them the library would wait for ever.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    connect_timeout: float = 3.0
    read_timeout: float = 10.0
    user_agent: str = "imds-agent"


# What YAML takes unescaped inside double quotes; the line breaks that only YAML knows (85, 2028, 2029) are not among it.
_NOT_YAML = re.compile("[^ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def as_yaml(document: Mapping[str, Any]) -> bytes:
    r"""Return JSON that is YAML, too.

    The API server reads applied bodies as YAML, which has no surrogate pairs: it answers 400 to the `\ud83d\ude80` that JSON
    libraries make of a rocket (tried). Half a pair, which no UTF-8 can carry, becomes U+FFFD.
    """

    def escaped(found: re.Match[str]) -> str:
        code = ord(found[0])
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"

    return _NOT_YAML.sub(escaped, json.dumps(document, ensure_ascii=False)).encode()


class _Untrusted(ClusterUnavailable):
    """No connection, since the server's certificate is not of an authority that we know: nothing was sent."""


class _Reply(NamedTuple):
    status: int
    body: bytes
    retry_after: str | None


def _configuration(access: Access) -> Configuration:
    configuration = Configuration()
    if access.kubeconfig is None:
        load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=configuration
        )
    else:
        _one_at_least(access.kubeconfig)
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(access.kubeconfig),
            context=access.context,
            client_configuration=configuration,
            persist_config=False,
        )
    configuration.retries = False
    configuration.connection_pool_maxsize = AT_ONCE  # the one writer alone, but for evictions
    return configuration


def _one_at_least(kubeconfig: Path) -> None:
    """Open the file, or of several, as KUBECONFIG may name, the first that is there: the library calls a missing one invalid."""
    paths = [Path(each) for each in str(kubeconfig).split(os.pathsep) if each] or [kubeconfig]
    next((path for path in paths if path.exists()), paths[0]).open().close()


def _told(error: Exception) -> str:
    """Return in one line what a library said in several."""
    said = error.strerror if isinstance(error, OSError) else error.reason if isinstance(error, ApiException) else None
    return " ".join(str(said or error).split())[:SHOWN] or type(error).__name__


class Cluster:
    """A connection to one API server; `ask` may be called from several threads."""

    def __init__(self, access: Access, *, seen: Callable[[str, int], None] = lambda _verb, _code: None) -> None:
        """Read the credentials.

        Args:
            seen: told of every request's verb and status, 0 for none; for metrics.

        Raises:
            ClusterError: there are no usable credentials.
        """
        self._access = access
        self._seen = seen
        self._renewing = threading.Lock()
        self._client = self._connect()

    def _connect(self) -> ApiClient:
        try:
            client = ApiClient(_configuration(self._access))
        except Exception as error:  # whatever the library's code makes of a broken file
            where = self._access.kubeconfig or "the pod's service account (outside a pod give --kubeconfig)"
            raise ClusterUnavailable(f"no credentials for a cluster from {where}: {_told(error)}") from error
        client.user_agent = self._access.user_agent
        return client

    def close(self) -> None:
        """Close all connections."""
        self._client.rest_client.close()

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def node(self, name: str, *, metadata_only: bool = False, resource_version: str | None = None) -> Node:
        """Read a node.

        Args:
            metadata_only: ask for labels, annotations and owners alone, a fifth of the bytes.
            resource_version: None reads from etcd (a quorum read); "0" takes what the API server's cache has, at a
                tenth of an apply's cost; any other at least that version.
        """
        query = {} if resource_version is None else {"resourceVersion": resource_version}
        accept = METADATA_ONLY if metadata_only else "application/json"
        return self.ask("GET", f"/api/v1/nodes/{quote(name, safe='')}", query=query, accept=accept)

    def nodes_metadata(self) -> Iterator[Node]:
        """List the metadata of all nodes, page by page; needs a right of its own."""
        query = {"limit": "500"}
        while True:
            page = self.ask("GET", "/api/v1/nodes", query=query, accept=METADATA_LIST)
            yield from page.get("items") or ()
            if not (following := page["metadata"].get("continue")):
                return
            query = {"limit": "500", "continue": following}

    def node_names(self) -> list[str]:
        """List all nodes' names; needs a right of its own."""
        return [str(node["metadata"]["name"]) for node in self.nodes_metadata()]

    def apply(self, name: str, body: Mapping[str, Any], *, manager: str, force: bool, dry_run: bool = False) -> Node:
        """Server-side apply; returns the node after it.

        The body must carry `metadata.uid`: without it a node that is missing would be created.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return self._patch(name, body, query, APPLY, dry_run=dry_run)

    def merge(self, name: str, body: Mapping[str, Any], *, manager: str, dry_run: bool = False) -> Node:
        """JSON merge patch: null removes a key whoever owns it; returns the node after it."""
        return self._patch(name, body, {"fieldManager": manager}, MERGE, dry_run=dry_run)

    def _patch(self, name: str, body: Mapping[str, Any], query: dict[str, str], kind: str, *, dry_run: bool) -> Node:
        if dry_run:
            query = {**query, "dryRun": "All"}
        return self.ask("PATCH", f"/api/v1/nodes/{quote(name, safe='')}", query=query, body=body, kind=kind)

    def ask(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str],
        accept: str = "application/json",
        body: Mapping[str, Any] | None = None,
        kind: str | None = None,
    ) -> Node:
        """Send one request and return the object that came; for the modules that know a kind of object.

        Args:
            body: JSON, of the given content type.

        Raises:
            ClusterError: anything but an object with metadata.
        """
        headers = {"Accept": accept} | ({"Content-Type": kind} if kind else {})
        client = self._client
        try:
            reply: _Reply | None = self._send(client, verb, path, query=query, headers=headers, body=body)
        except _Untrusted:
            reply = None
        # A rotated token, an expired one, or another authority in the kubeconfig: read the credentials again, once.
        if reply is None or reply.status == 401:
            client = self._renewed(client)
            reply = self._send(client, verb, path, query=query, headers=headers, body=body)
        if reply.status >= 400:
            raise error_of(f"{verb} {path}", reply.status, reply.body, reply.retry_after)
        try:
            document = json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise ClusterUnavailable(f"{verb} {path}: the answer is not JSON: is a proxy in between?") from error
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
            raise ClusterUnavailable(f"{verb} {path}: the answer is not an object: is a proxy in between?")
        return document

    def stream(self, path: str, *, query: Mapping[str, str], silent: float) -> Iterator[dict[str, Any]]:
        """Read a stream of JSON documents, one a line, as a watch sends them, until it ends.

        Args:
            silent: seconds without a byte after which it is given up.

        Raises:
            ClusterError: it could not begin, or broke off.
        """
        where = f"GET {path}"
        try:
            request = self._client.param_serialize(
                "GET", path, query_params=list(query.items()), header_params={}, auth_settings=["BearerToken"]
            )
            response = self._client.call_api(*request, _request_timeout=(self._access.connect_timeout, silent))
            self._seen("WATCH", response.status)
            if response.status >= 400:
                raise error_of(where, response.status, response.read())  # type: ignore[no-untyped-call]
            rest = b""
            for piece in response.response.stream(65536):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError, ValueError) as error:
            self._seen("WATCH", 0)
            raise ClusterUnavailable(f"{where}: the stream broke: {_told(error)}") from error

    def _renewed(self, refused: ApiClient) -> ApiClient:
        """Return a client with fresh credentials; another thread may have made it already."""
        with self._renewing:
            if self._client is refused:
                self._client = self._connect()
                refused.rest_client.close()
            return self._client

    def _send(
        self,
        client: ApiClient,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: dict[str, str],
        body: Mapping[str, Any] | None,
    ) -> _Reply:
        try:
            request = client.param_serialize(
                verb,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=as_yaml(body) if body is not None and headers.get("Content-Type") == APPLY else body,
                auth_settings=["BearerToken"],
            )
            response = client.call_api(
                *request, _request_timeout=(self._access.connect_timeout, self._access.read_timeout)
            )
            raw: bytes = response.read()  # type: ignore[no-untyped-call]
            reply = _Reply(response.status, raw, response.headers.get("Retry-After"))
        except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError, ValueError) as error:
            self._seen(verb, 0)  # a ValueError is a token that is no header, or a redirection to nowhere
            kind = _Untrusted if "CERTIFICATE_VERIFY_FAILED" in str(error) else ClusterUnavailable
            raise kind(f"{verb} {self.server}{path}: no answer: {_told(error)}") from error
        self._seen(verb, reply.status)
        return reply
