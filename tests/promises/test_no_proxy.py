"""Weakness 24 of peers: proxies of the environment are used for IMDS, which must never be asked through one."""

import http.server
import threading

from tests.promises.agents import tended


class Nosy(http.server.BaseHTTPRequestHandler):
    """A proxy that says no, and remembers whoever came."""

    seen: list[str] = []  # noqa: RUF012 - one list is what a test looks at

    def do_GET(self):
        self.seen.append(self.path)
        self.send_error(403)

    do_CONNECT = do_GET  # noqa: N815 - http.server's name for it

    def log_message(self, *_arguments):
        pass


def test_imds_is_asked_directly_whatever_proxies_and_bundles_the_environment_names(plane, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nosy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{proxy.server_port}"
        netrc = tmp_path / "netrc"
        netrc.write_text("default login proxy password proxy\n")
        environment = {"HTTP_PROXY": url, "http_proxy": url, "NETRC": str(netrc)}
        environment |= {"REQUESTS_CA_BUNDLE": str(netrc), "CURL_CA_BUNDLE": str(netrc)}
        environment |= {"ALL_PROXY": url, "all_proxy": url, "no_proxy": plane.url.removeprefix("https://")}
        try:
            with tended(plane, environment=environment) as scene:
                scene.wait_labelled()
                scene.event("Preempt")
                scene.wait_cordoned()
        finally:
            proxy.shutdown()
            thread.join()
        assert Nosy.seen == []
