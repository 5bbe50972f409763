"""What the URL of a server says, and what is said about one that cannot be used."""

from __future__ import annotations

import traceback

import pytest

from strands_session_log.errors import InvalidUrlError
from strands_session_log.server import SCHEMES, connect
from strands_session_log.server.urls import EmbeddedUrl, TcpUrl, UnixUrl, masked, parse


@pytest.mark.parametrize(
    ("url", "nodes", "node_text", "tls"),
    [
        ("valkey://", (("localhost", 6379),), "valkey://localhost:6379/", False),
        ("valkey://:7000", (("localhost", 7000),), "valkey://localhost:7000/", False),
        ("redis://h", (("h", 6379),), "valkey://h:6379/", False),
        ("rediss://u:p%40@h:1/3?a=b", (("h", 1),), "valkeys://u:p%40@h:1/3?a=b", True),
        ("VALKEY://[::1]:7000/", (("::1", 7000),), "valkey://[::1]:7000/", False),
        ("valkeys+cluster://u:p@h:1,[::1],k/0", (("h", 1), ("::1", 6379), ("k", 6379)), "valkeys://u:p@h:1/0", True),
    ],
)
def test_a_tcp_url_names_nodes_and_options(
    url: str, nodes: tuple[tuple[str, int], ...], node_text: str, tls: bool
) -> None:
    parsed = parse(url)

    assert isinstance(parsed, TcpUrl)
    assert (parsed.nodes, parsed.node_text, parsed.tls) == (nodes, node_text, tls)


@pytest.mark.parametrize(
    ("path", "service", "database"), [("/main", "main", ""), ("/my%20main/", "my main", ""), ("/main/7", "main", "7")]
)
def test_a_sentinel_url_names_a_service_and_perhaps_a_database(path: str, service: str, database: str) -> None:
    parsed = parse(f"valkey+sentinel://a,b:1{path}")

    assert isinstance(parsed, TcpUrl)
    assert parsed.nodes == (("a", 26379), ("b", 1))
    assert parsed.service == service
    assert parsed.node_text.endswith(f"/{database}")


@pytest.mark.parametrize(
    ("url", "directory", "query"),
    [
        ("embedded:", None, ""),
        ("embedded://", None, ""),
        ("embedded:?db=1", None, "db=1"),
        ("embedded:///var/my%20log?db=1", "/var/my log", "db=1"),
        ("Embedded:///var/log/", "/var/log/", ""),
    ],
)
def test_an_embedded_url_names_a_directory_or_none(url: str, directory: str | None, query: str) -> None:
    assert parse(url) == EmbeddedUrl(directory, query)


def test_a_unix_url_is_left_to_the_driver() -> None:
    assert parse("unix://u:p@/run/valkey.sock?db=2") == UnixUrl("unix://u:p@/run/valkey.sock?db=2")


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("embedded:///var/log", "/var/log"),
        ("embedded:///./sessions", "./sessions"),
        ("embedded:///../my%20sessions", "../my sessions"),
        ("embedded:///.", "."),
        ("embedded:///.sessions", "/.sessions"),
        ("embedded:///.../sessions", "/.../sessions"),
        ("embedded:///var/./log", "/var/./log"),
    ],
)
def test_after_a_dot_the_directory_of_an_embedded_server_is_where_the_program_was_started(
    url: str, directory: str
) -> None:
    assert parse(url) == EmbeddedUrl(directory, "")
    assert masked(url) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "embedded:///directory"),
        ("localhost:6379", "valkey://host"),
        ("http://h", "valkey://host"),
        ("valkey+proxy://h", "valkey+cluster://"),
        ("unix+cluster:///s", "valkey://host"),
        ("valkey:h", "scheme://user:password@host:port"),
        ("valkey://h/one", "a database number"),
        ("valkey://h:port", "name:port"),
        ("valkey://h:70000", "name:port"),
        ("valkey://ada:s3/cr?et@h", "percent-encode special characters"),
        ("valkey://::1", "[::1]:port"),
        ("valkey://a,b", "several hosts"),
        ("valkey+cluster://h/1", "no database but 0"),
        ("valkey+cluster://h?db=1", "no database but 0"),
        ("valkey+cluster://h?ssl_check_hostname=yes", "ssl_check_hostname"),
        ("valkey+sentinel://h", "/service"),
        ("valkey+sentinel://h/main/one", "/service"),
        ("valkey://h?sockettimeout=1", "sockettimeout"),
        ("valkey://h?socket_timeout=long", "(socket_timeout)"),
        ("valkey://h?protocol=four", "(protocol)"),
        ("valkeys://h?ssl_cert_reqs=perhaps", "(ssl_cert_reqs)"),
        ("valkeys://h?ssl_min_version=1.3", "must be TLSv1_2 or TLSv1_3"),
        ("valkey+sentinel://h/main?nonsense=1", "nonsense"),
        ("embedded:?nonsense=1", "nonsense"),
        ("unix://valkey.sock", "unix:///absolute/path"),
        ("unix://run/valkey.sock", "unix:///absolute/path"),
        ("embedded:log", "embedded:///./directory for one where the program was started"),
        ("embedded://log", "embedded:///absolute/directory"),
        ("embedded:///", "embedded:///absolute/directory"),
        ("embedded:///x&db=1", "options follow a ?"),
        ("unix:///s;db=1", "options follow a ?"),
        ("valkey://h&db=1", "name:port"),
        ("valkey://h?db=0;socket_timeout=5", "(db); separate them with &"),
        ("valkey://h?password=x&nonsense=1", "or look at what follows"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_with_the_cure(url: str, reason: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        connect(url)

    assert repr(masked(url)) in str(caught.value)
    assert reason in str(caught.value)


def test_an_unknown_scheme_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidUrlError, match="use one of") as caught:
        parse("mongodb://h")

    assert SCHEMES in str(caught.value)


SECRETIVE = [
    "valkey://u:hunter2@h/one",
    "valkey://:hunter2@h/one",
    "valkey://hunter2@h/one",
    "valkey://u:hun/ter2@h/one",
    "valkey://u:hun?ter2@h",
    "valkey://u:hun#ter2@h",
    "valkey://u:hun@ter2@h:x",
    "valkey://u:hun[ter2@h:1",
    "valkey://u:hun[ter2]@h:1?socket_timeout=long",
    "valkey://u:hunter2\u2100@h?socket_timeout=long",
    "valkey://u:hunter2:hunter2@h:x",
    "valkey://u:hunter2",
    "valkey://h:hunter2/0",
    "valkey://:hunter2",
    "u:hunter2@h:6379",
    "hunter2@h",
    "valkey:u:hunter2@h",
    "valkey://h/one?username=u&password=hunter2&db=1",
    "valkey://h/one?pass%77ord=hunter2",
    "valkey://h?db=0;password=hunter2",
    "valkey://h?db=0%3Bpassword=hunter2",
    "valkey://h?password=hun@ter2&nonsense=1",
    "valkey://h:6379?password=hun@ter2&nonsense=1",
    "valkey://h?pasword=hunter2",
    "valkey://h?username=u:hunter2&nonsense=1",
    "valkey://h?password=a&hunter2=1",
    "valkey://h?nonsense=1&password=a&hunter2",
    "valkey://h?password=a&hunter2&nonsense=1",
    "valkey://h;password=hunter2",
    "valkey://h&password=hunter2",
    "valkey://h=hunter2",
    "valkey://h/0&password=hunter2",
    "valkey://h/0;password=hunter2?nonsense=1",
    "valkey+cluster://h,password=hunter2",
    "valkey+sentinel://h/main&password=hunter2",
    "valkey+sentinel://h/main,password=hunter2",
    "unix:///run/valkey.sock&password=hunter2",
    "unix:///run/valkey.sock;password=hunter2?db=1",
    "embedded:///x&password=hunter2",
    "valkeys://h/one?SSL_PASSWORD=hunter2",
    "valkey://u:hunter2@h?socket_timeout=long",
    "unix://u:hunter2@run/valkey.sock",
    "unix:///run/valkey.sock?password=hunter2&nonsense=1",
    "unix://u:hun/ter2@/run/valkey.sock",
    "embedded:?password=hunter2&nonsense=1",
    "embedded:///x?password=hunter2&nonsense=1",
    "valkey+cluster://u:hunter2@h:1,i:2/1",
    "valkey+cluster://u:hunter2@h:1,i:x",
    "valkey+cluster://h?password=hunter2&nonsense=1",
    "valkey+sentinel://u:hunter2@h",
    "valkey+sentinel://h/main?sentinel_password=hunter2",
    "valkey+sentinel://h/main?sentinel_pass%77ord=hunter2",
    "valkey+proxy://u:hunter2@h",
    "mongodb://u:hunter2@h",
]


def _everything_said(error: BaseException) -> str:
    """As a log shows it: messages of the whole chain."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("url", SECRETIVE)
def test_passwords_are_never_shown(url: str) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        connect(url)

    # The line of this file that is shown is not of the product.
    said = _everything_said(caught.value).replace("connect(url)", "")
    for secret in ("hunter2", "ter2"):
        assert secret not in said
        assert secret not in caught.value.url
        assert secret not in repr(caught.value)


GOOD = ["valkey://u:hunter2@h", "unix://u:hunter2@/run/s", "embedded:?password=hunter2"]


@pytest.mark.parametrize("url", [*SECRETIVE, *GOOD])
def test_what_a_url_is_parsed_to_does_not_show_them(url: str) -> None:
    try:
        shown = repr(parse(url))
    except InvalidUrlError as error:
        assert url not in GOOD
        shown = _everything_said(error).replace("parse(url)", "")
    assert "ter2" not in shown


def test_masking_keeps_what_is_no_secret() -> None:
    assert masked("valkey://h?password=secret&db=1&timout=5") == "valkey://h?password=***&db=1&***=***"
    assert masked("valkey://h?timout=5&db=1") == "valkey://h?timout=***&db=1"
    assert masked("embedded:///data/a=b?db=1") == "embedded:///data/a=***?db=1"
    assert masked("valkey://user:secret@h:6379/0?db=1") == "valkey://user:***@h:6379/0?db=1"
    assert masked("valkey://h:6379/0") == "valkey://h:6379/0"
    for url in (
        "localhost:6379",
        "valkey://[::1]:7000/",
        "valkey://::1",
        "valkey+sentinel://a,b:1/my%20main/4?socket_timeout=1.5&ssl_ca_certs=/etc/ca.pem",
        "unix:///run/my valkey.sock?db=2",
        "embedded:///var/log?snapshot_key_file=/etc/keys",
        "valkey://b\u00fccher.example:7000?username=somebody&db=1",
        "valkey://node_1.example/0",
        "embedded:",
    ):
        assert masked(url) == url
