"""A certificate says where its issuer's is, and nobody has vouched for that certificate yet: not everything is fetched."""

import pytest

from agent.clients.issuers import AT_MOST, IssuerRefused, Issuers, IssuerUnavailable, Place, _public
from tests.clients.serving import serving


@pytest.fixture
def server():
    with serving() as found:
        yield found


def allowed(server) -> Issuers:
    return Issuers([Place(host="127.0.0.1", port=server.port)])


def test_a_file_is_fetched_once(server):
    server.files["/ca.crt"] = b"certificate"
    issuers = allowed(server)
    assert [issuers.fetch(server.url("/ca.crt")) for _ in range(2)] == [b"certificate"] * 2
    assert server.asked == ["/ca.crt"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://127.0.0.1:1/ca.crt",
        "http://www.microsoft.com:8080/pki/ca.crt",
        "http://www.microsoft.com.evil.example/ca.crt",
        "http://user@www.microsoft.com/ca.crt",
        "file:///etc/passwd",
        "ldap://www.microsoft.com/ca",
        "http://[::1/ca.crt",
        "http://www.microsoft.com:x/ca.crt",
        "",
    ],
)
def test_no_other_place_is_asked(url):
    with pytest.raises(IssuerRefused, match="the issuer's certificate"):
        Issuers().fetch(url)


def test_a_host_that_was_named_is_asked_on_its_own_port_only(server):
    server.files["/ca.crt"] = b"certificate"
    with pytest.raises(IssuerRefused, match="--issuer-host"):
        Issuers([Place(host="127.0.0.1")]).fetch(server.url("/ca.crt"))
    assert server.asked == []


def test_a_known_name_that_leads_into_this_network_is_refused():
    with pytest.raises(IssuerRefused, match="not public"):
        _public("localhost", 80)
    with pytest.raises(IssuerUnavailable, match="no address of"):
        _public("nobody.invalid", 80)


def test_a_redirection_is_not_followed(server):
    def elsewhere(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", server.url("/secret"))
        handler.end_headers()

    server.files |= {"/ca.crt": elsewhere, "/secret": b"s"}
    with pytest.raises(IssuerUnavailable, match="status 302"):
        allowed(server).fetch(server.url("/ca.crt"))
    assert server.asked == ["/ca.crt"]


def test_a_flood_and_a_missing_file_are_no_certificates(server):
    server.files["/flood"] = b"x" * (AT_MOST + 1)
    for path, said in (("/flood", f"{AT_MOST} bytes"), ("/none", "status 404")):
        with pytest.raises(IssuerUnavailable, match=said):
            allowed(server).fetch(server.url(path))


def test_nobody_there_is_no_answer():
    with serving() as gone:
        url = gone.url("/ca.crt")
        issuers = allowed(gone)
    with pytest.raises(IssuerUnavailable, match="no answer"):
        issuers.fetch(url)


def test_unlike_imds_it_may_go_through_a_proxy(server, monkeypatch):
    """Then the proxy finds the address, which may be in a network of its own."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    server.files["http://www.microsoft.com/pki/ca.crt"] = b"by proxy"
    assert Issuers().fetch("http://www.microsoft.com/pki/ca.crt") == b"by proxy"
