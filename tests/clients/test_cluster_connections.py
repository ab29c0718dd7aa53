"""The cluster client and its connection: credentials that are wrong or renewed, servers that are away, slow or no API."""

import json
import shutil
import socket
import threading
from collections import Counter
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterRefused, ClusterUnavailable
from tests.controlplane.certs import Authority
from tests.controlplane.kubeconfig import write_kubeconfig, write_private
from tests.promises.agents import wait_until


@contextmanager
def listening(answer: bytes | None = None, kind: str = "application/json", status: int = 200, **headers: str):
    """Give the URL of an HTTP server that says this to every request; None never answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.close_connection = True
            if answer is None:
                released.wait(60)
                return
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    released = threading.Event()
    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            released.set()
            server.shutdown()
            thread.join()


@contextmanager
def client(tmp_path, url: str, *, seen=None, **access):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    with closing(Cluster(Access(kubeconfig=path, **access), **({"seen": seen} if seen else {}))) as found:
        yield found


def trouble(cluster: Cluster, kind: type = ClusterUnavailable):
    with pytest.raises(kind) as raised:
        cluster.node("n")
    said = str(raised.value)
    assert "\n" not in said
    assert "secret-token" not in said
    assert "object at 0x" not in said
    assert len(said) < 300
    return raised.value


def test_a_server_that_never_answers_is_left_after_the_read_time_out(tmp_path):
    seen = Counter()
    with listening() as url, client(tmp_path, url, read_timeout=0.2, seen=lambda *each: seen.update([each])) as found:
        assert "no answer" in str(trouble(found))
    assert seen == {("GET", 0): 1}


def test_a_socket_that_accepts_and_says_nothing_is_left_as_well(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        with client(tmp_path, url, connect_timeout=0.2, read_timeout=0.2) as found:
            trouble(found)


def test_nobody_listening_is_told_with_the_address(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with client(tmp_path, f"http://127.0.0.1:{port}") as found:
        said = str(trouble(found))
    assert said.startswith(f"GET http://127.0.0.1:{port}/api/v1/nodes/n: no answer: ")
    assert "Connection refused" in said


def test_a_name_that_nobody_knows_is_told(tmp_path):
    with client(tmp_path, "https://no-such-host.invalid:6443") as found:
        trouble(found)


def test_a_page_instead_of_json_suggests_a_proxy(tmp_path):
    with listening(b"<html>log in</html>", "text/html") as url, client(tmp_path, url) as found:
        assert "is a proxy in between?" in str(trouble(found))


@pytest.mark.parametrize("answer", [b"[]", b"null", b'"x"', b"", b'{"kind":', b"\xff"])
def test_json_that_is_no_object_is_no_node(tmp_path, answer):
    with listening(answer) as url, client(tmp_path, url) as found:
        trouble(found)


def test_an_answer_that_breaks_off_is_no_answer(tmp_path):
    with listening(b'{"kind": "Node"', Content_Length="5000") as url, client(tmp_path, url) as found:
        trouble(found)


def test_a_busy_server_says_when_to_come_again(tmp_path):
    with listening(b"busy", "text/plain", status=429, Retry_After="3") as url, client(tmp_path, url) as found:
        assert trouble(found).retry_after == 3.0


def test_a_token_that_stays_refused_is_tried_twice_and_then_refused(tmp_path):
    seen = Counter()
    answer = listening(b'{"message":"Unauthorized"}', status=401)
    with answer as url, client(tmp_path, url, seen=lambda *each: seen.update([each])) as found:
        assert trouble(found, ClusterRefused).status == 401
    assert seen == {("GET", 401): 2}


def test_a_rotated_token_costs_one_refusal_and_no_more(plane, node):
    kubeconfig, seen = plane.agent_kubeconfig(node.name), Counter()
    with closing(Cluster(Access(kubeconfig=kubeconfig), seen=lambda *each: seen.update([each]))) as found:
        found.node(node.name)
        spent = plane.new_session(token=read_token(kubeconfig))
        plane.agents.end_pod(node.name)
        with spent:
            wait_until(lambda: spent.raw("GET", node.path).status_code == 401, "the old token is refused")
        plane.agent_kubeconfig(node.name)  # kubelet writes the new one into the same file
        seen.clear()
        found.node(node.name)
        found.node(node.name)
    assert seen == {("GET", 401): 1, ("GET", 200): 2}


def read_token(kubeconfig) -> str:
    return Path(json.loads(kubeconfig.read_text())["users"][0]["user"]["tokenFile"]).read_text()


def test_a_replaced_ca_file_is_believed_without_a_restart(plane, node, tmp_path):
    """Until then the server is not trusted: no answer, and nothing is sent."""
    ca, token = tmp_path / "ca.crt", tmp_path / "token"
    shutil.copy(Authority(tmp_path / "another").files.certificate, ca)
    write_private(token, plane.agent_token(node.name))
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", plane.url, ca, {"tokenFile": str(token)})
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as found:
        said = str(trouble(found))
        assert "certificate" in said.lower()
        shutil.copy(plane.ca_file, ca)
        assert found.node(node.name)["metadata"]["uid"] == node.uid


def config(**cluster: object) -> str:
    user = [{"name": "u", "user": {"token": "t"}}]
    context = [{"name": "x", "context": {"cluster": "c", "user": "u"}}]
    clusters = [{"name": "c", "cluster": cluster}] if cluster else []
    return json.dumps({"current-context": "x", "contexts": context, "clusters": clusters, "users": user})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "- a",
        "just words",
        "a: [",
        "\x00",
        '{"clusters": null, "users": null, "contexts": null, "current-context": "x"}',
        config(),
        config(server="https://h", **{"certificate-authority-data": "AAA"}),
        config(server="https://h", **{"certificate-authority": "/nonexistent/ca"}),
        config(server=5),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_in_one_line_with_its_path(content, tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(ClusterUnavailable) as raised, closing(Cluster(Access(kubeconfig=path))) as found:
        found.node("n")
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_kubeconfig_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(ClusterUnavailable, match="No such file"):
        Cluster(Access(kubeconfig=tmp_path / "none"))


def test_a_context_that_is_not_there_is_named(plane):
    with pytest.raises(ClusterUnavailable, match="another"):
        Cluster(Access(kubeconfig=plane.admin_kubeconfig, context="another"))


def test_outside_a_pod_the_service_account_is_missing_and_the_flag_is_named(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterUnavailable, match="--kubeconfig"):
        Cluster(Access())
