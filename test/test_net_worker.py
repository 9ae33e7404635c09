#!/usr/bin/python3
"""
bits-net, the built program, spoken to over its channel as bitsd does, against a server that says
exactly what a test wants it to say.

The rules for headers, redirects and codes are tested in src/net/test-*.c; here stands what only
the whole program can show: its sandbox lets the work through, bytes land where they belong, and
whatever a server or a disk does ends in one NET_DONE that says so.
"""
import os
import pathlib
import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

import servers
import wire
from net_worker import (PATIENCE, PROGRAM, SERIAL, UNKNOWN, Server, Worker, answer, part, redirect,
                        start_fields)

COMPLETE, STOPPED, VERSION_CHANGED, FAILED = range(4)
DISALLOW, HTTPS_TO_HTTP = 2, 4
LOCAL_FILE, REMOTE_FILE = 4, 5  # error contexts
DISCONNECTED, QUEUE_MANAGER = 0x80200010, 2
TIMEOUT, NOT_RESOLVED, CANNOT_CONNECT = 0x80072EE2, 0x80072EE7, 0x80072EFD
CONNECTION_ERROR, SECURE_FAILURE = 0x80072EFE, 0x80072F8F
INVALID_RESPONSE, INVALID_ARGUMENT = 0x8020001B, 0x80070057
DISK_FULL, FILE_TOO_LARGE = 0x80070070, 0x800700DF
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
DATE_SECONDS = 1445412480


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture
def worker():
    with Worker() as w:
        yield w


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file"


CONTENT = bytes(range(256)) * 40


# ---- whole files ----

def test_it_says_hello_from_inside_its_sandbox(worker):
    # NET-45
    assert worker.hello.kind == 1 and worker.hello.uid == os.geteuid()
    status = pathlib.Path(f"/proc/{worker.process.pid}/status").read_text()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert worker.hello.layers & 7 == 7


def test_it_ends_in_peace_when_nobody_hears_its_hello():
    # NET-431
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with theirs:
        number = theirs.fileno()
        ended = subprocess.run(["/bin/bash", "-c", f'exec "$0" 3<&{number} {number}<&-', PROGRAM],
                               pass_fds=[number], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert ended.returncode == 0 and b"ould not start" not in ended.stderr


def test_a_whole_file(worker, server, file):
    # NET-01, NET-05, NET-10
    url = server.put("/f", answer(body=CONTENT, ETag='"v1"', Last_Modified=DATE))
    started, done = worker.fetch(url, file)
    assert started == (1, 200, 0, len(CONTENT), '"v1"', DATE, 1, "",
                       f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\nETag: \"v1\"\r\n"
                       f"Last-Modified: {DATE}\r\n")    # NET-158
    assert done == (1, COMPLETE, 0, 0, len(CONTENT), DATE_SECONDS, "", "", "")
    assert file.read_bytes() == CONTENT
    headers = server.last.headers
    assert "range" not in headers and "if-range" not in headers
    assert headers["user-agent"].startswith("OpenBITS/")
    assert headers["accept"] == "*/*" and headers["accept-encoding"] == "identity"
    assert server.last.method == "GET" and server.last.version == "HTTP/1.1"


def test_an_empty_file(worker, server, file):
    # NET-01
    started, done = worker.fetch(server.put("/f", answer()), file)
    assert started.total == 0 and done.outcome == COMPLETE and file.read_bytes() == b""


def test_lengths_that_are_not_announced(worker, server, file):
    # NET-08
    chunked = answer(length=False, Transfer_Encoding="chunked", ETag='"v1"')
    chunked += b"5\r\nhello\r\n6\r\n world\r\n0\r\nETag: trailer\r\n\r\n"
    for url in (server.put("/chunked", chunked),
                server.cut("/close", answer(body=b"hello world", length=False)),
                server.cut("/old", answer(body=b"hello world", length=False, version="HTTP/1.0"))):
        file.unlink(missing_ok=True)
        started, done = worker.fetch(url, file)
        assert started.total == UNKNOWN and done.outcome == COMPLETE
        assert done.written == 11 and file.read_bytes() == b"hello world"


def test_http_1_0_with_a_length(worker, server, file):
    # NET-01
    url = server.cut("/f", answer(body=CONTENT, version="HTTP/1.0"))
    started, done = worker.fetch(url, file)
    assert started.total == len(CONTENT) and done.outcome == COMPLETE
    assert file.read_bytes() == CONTENT


def test_interim_answers_are_skipped(worker, server, file):
    # NET-10
    hints = answer("103 Early Hints", length=False, ETag='"no"')
    started, done = worker.fetch(server.put("/f", hints + answer(body=b"x")), file)
    assert (started.status, started.etag, done.outcome) == (200, "", COMPLETE)


def test_it_says_when_a_server_cannot_resume(worker, server, file):
    # NET-07
    for headers, resumable in (({"ETag": '"v1"'}, 1), ({"ETag": 'W/"v1"'}, 0),
                               ({"Last_Modified": DATE}, 1), ({}, 0),
                               ({"ETag": '"v1"', "Accept_Ranges": "none"}, 0)):
        started, _ = worker.fetch(server.put("/f", answer(body=b"x", **headers)), file)
        assert started.resumable == resumable, headers


def test_odd_validators_are_as_good_as_none(worker, server, file):
    # NET-09
    for value in ("x" * 1001, '"\x1b[2J"', '"\xe4"'):
        started, done = worker.fetch(server.put("/f", answer(body=b"x", ETag=value)), file)
        assert started.etag == "" and done.outcome == COMPLETE


def test_a_file_of_many_buffers(worker, server, file):
    # NET-01
    content = os.urandom(1 << 20) * 20
    _, done = worker.fetch(server.put("/f", answer(body=content)), file)
    assert done.outcome == COMPLETE and file.read_bytes() == content


# ---- resuming ----

KNOWN = {"offset": 100, "total": len(CONTENT), "etag": '"v1"'}


def begin(file, size=100):
    file.write_bytes(CONTENT[:size])


def test_resuming_the_same_version(worker, server, file):
    # NET-02, NET-03
    begin(file)
    url = server.put("/f", part(CONTENT, 100, ETag='"v1"'))
    started, done = worker.fetch(url, file, **KNOWN)
    assert (started.status, started.offset, started.total) == (206, 100, len(CONTENT))
    assert done.outcome == COMPLETE and done.written == len(CONTENT)
    assert file.read_bytes() == CONTENT
    assert server.last.headers["range"] == "bytes=100-"
    assert server.last.headers["if-range"] == '"v1"'
    assert server.last.headers["accept-encoding"] == "identity"


def test_resuming_by_date_and_length(worker, server, file):
    # NET-02, NET-03
    begin(file)
    url = server.put("/f", part(CONTENT, 100, Last_Modified=DATE))
    known = {**KNOWN, "etag": 'W/"v1"', "date": DATE}
    _, done = worker.fetch(url, file, **known)
    assert done.outcome == COMPLETE and file.read_bytes() == CONTENT
    assert "if-range" not in server.last.headers
    _, done = worker.fetch(url, file, **{**known, "date": "yesterday"})
    assert done.outcome == VERSION_CHANGED


def test_a_part_that_does_not_repeat_what_is_known(worker, server, file):
    # NET-03
    begin(file)
    url = server.put("/f", part(CONTENT, 100, ETag='"v1"'))
    started, done = worker.fetch(url, file, **KNOWN, date=DATE)
    assert started.last_modified == DATE and done.modification_time == DATE_SECONDS


@pytest.mark.parametrize("reply", [
    answer(body=CONTENT, ETag='"v2"'),
    answer(body=CONTENT, ETag='"v1"'),
    part(CONTENT, 100, ETag='"v2"'),
    part(CONTENT, 100, total=len(CONTENT) + 1, ETag='"v1"'),
    part(CONTENT, 101, ETag='"v1"'),
    part(CONTENT, 100),
    part(CONTENT, 100, Content_Range="rubbish", ETag='"v1"'),
    answer("416 Range Not Satisfiable", b"no", Content_Range="bytes */50"),
])
def test_another_version_is_not_written_over_the_known_one(worker, server, file, reply):
    # NET-04
    begin(file)
    started, done = worker.fetch(server.put("/f", reply), file, **KNOWN)
    assert started is None and done.outcome == VERSION_CHANGED and done.code == 0
    assert done.written == 100 and file.read_bytes() == CONTENT[:100]


def test_a_forgotten_tail_is_cut_off(worker, server, file):
    # NET-06
    file.write_bytes(b"x" * 100000)
    _, done = worker.fetch(server.put("/f", answer(body=CONTENT)), file)
    assert done.outcome == COMPLETE and file.read_bytes() == CONTENT


def test_offsets_beyond_four_gigabytes(worker, server, file):
    # NET-03
    offset = 5 << 30
    url = server.put("/f", answer("206 x", b"hello", ETag='"v1"',
                                  Content_Range=f"bytes {offset}-{offset + 4}/{offset + 5}"))
    _, done = worker.fetch(url, file, offset=offset, total=offset + 5, etag='"v1"')
    assert done.outcome == COMPLETE and done.written == offset + 5
    with open(file, "rb") as f:
        f.seek(offset)
        assert f.read() == b"hello"


def test_a_part_nobody_asked_for(worker, server, file):
    # NET-34
    started, done = worker.fetch(server.put("/f", part(CONTENT, 100)), file)
    assert started is None and (done.outcome, done.code) == (FAILED, INVALID_RESPONSE)
    assert file.read_bytes() == b""


# ---- connections that lie or break ----

def test_a_body_that_is_cut(worker, server, file):
    # NET-33
    url = server.cut("/f", answer(body=CONTENT, length=len(CONTENT) + 1, ETag='"v1"'))
    started, done = worker.fetch(url, file)
    assert started.total == len(CONTENT) + 1
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, CONNECTION_ERROR)
    assert done.written == len(CONTENT) and file.read_bytes() == CONTENT


def test_a_chunked_body_that_is_cut(worker, server, file):
    # NET-33
    url = server.cut("/f", answer(length=False, Transfer_Encoding="chunked") + b"5\r\nhello\r\n")
    _, done = worker.fetch(url, file)
    assert (done.outcome, done.code, done.written) == (FAILED, CONNECTION_ERROR, 5)


def test_a_body_longer_than_announced(worker, server, file):
    # NET-33: what follows the announced length is not part of this answer, nor of the next
    url = server.put("/f", answer(body=CONTENT, length=100))
    for _ in range(2):
        _, done = worker.fetch(url, file)
        assert done.outcome == COMPLETE and file.read_bytes() == CONTENT[:100]
    begin(file)
    long = part(CONTENT, 100, ETag='"v1"', length=False, Transfer_Encoding="chunked")
    head, _, _ = long.partition(b"\r\n\r\n")
    size = len(CONTENT)  # a hundred more than the range says
    url = server.put("/g", head + b"\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
    _, done = worker.fetch(url, file, **KNOWN)
    assert (done.outcome, done.code) == (FAILED, CONNECTION_ERROR)
    assert file.stat().st_size <= len(CONTENT)


def test_a_range_shorter_than_asked_for(worker, server, file):
    # NET-33
    begin(file)
    short = answer("206 x", CONTENT[100:200], ETag='"v1"',
                   Content_Range=f"bytes 100-199/{len(CONTENT)}")
    _, done = worker.fetch(server.put("/f", short), file, **KNOWN)
    assert (done.outcome, done.code, done.written) == (FAILED, CONNECTION_ERROR, 200)
    assert file.read_bytes() == CONTENT[:200]


def test_a_connection_closed_without_an_answer(worker, server, file):
    # NET-32
    started, done = worker.fetch(server.cut("/f", b""), file)
    assert started is None and (done.outcome, done.code) == (FAILED, CONNECTION_ERROR)


@pytest.mark.parametrize("rubbish", [
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\0\1\2\3\r\n\r\n",
    b"HTTP/1.1 9000 Over\r\n\r\n",
    answer(length=5) [:-2] + b"Content-Length: 6\r\n\r\nhello!",
    answer(length="-5"),
    answer(length="99999999999999999999"),
])
def test_rubbish_for_an_answer(worker, server, file, rubbish):
    # NET-34
    started, done = worker.fetch(server.cut("/f", rubbish), file)
    assert started is None
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, INVALID_RESPONSE)
    assert file.read_bytes() == b""


def test_endless_headers(worker, server, file):
    # NET-34
    def route(_, send):
        send(b"HTTP/1.1 200 OK\r\n")
        while not server.released.is_set():
            send(b"X-Filler: " + b"y" * 1000 + b"\r\n")
    server.routes["/f"] = route
    started, done = worker.fetch(server.url + "/f", file)
    assert started is None and (done.outcome, done.code) == (FAILED, INVALID_RESPONSE)
    assert "too long" in done.detail
    long_line = server.cut("/line", answer(X="y" * 70000))
    assert worker.fetch(long_line, file)[1].code == INVALID_RESPONSE


def test_a_line_without_an_end(worker, server, file):
    # NET-421
    def route(_, send):
        send(b"HTTP/1.1 200 OK\r\nX-Filler: ")
        while not server.released.is_set():
            send(b"y" * 10000)
    server.routes["/f"] = route
    started, done = worker.fetch(server.url + "/f", file)
    assert started is None and (done.outcome, done.code) == (FAILED, INVALID_RESPONSE)
    assert "too long" in done.detail


def test_headers_just_below_the_bound(worker, server, file):
    # NET-34
    many = {f"X{i}": "y" * 1000 for i in range(60)}
    assert worker.fetch(server.put("/f", answer(body=b"x", **many)), file)[1].outcome == COMPLETE


def test_a_server_that_goes_silent(server, file):
    # NET-35
    with Worker(OPENBITS_NET_STALL_SECONDS="3") as worker:
        first = worker.start(server.hang("/f", answer(body=b"hello", length=10)), file)
        worker.start(server.hang("/g", b""), file)
        for _ in range(2):
            done = worker.wait("NET_DONE")[-1]
            assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, TIMEOUT)
            assert done.written == (5 if done.transfer == first else 0)


# ---- errors with a number ----

@pytest.mark.parametrize("status,text", [(404, "404 Not Found"), (401, "401 Unauthorized"),
                                         (500, "500 Internal Server Error"),
                                         (503, "503 Service Unavailable"),
                                         (304, "304 Not Modified"), (204, "204 No Content")])
def test_statuses(worker, server, file, status, text):
    # NET-30
    body = b"" if status in (204, 304) else b"page"
    url = server.put("/f", answer(f"{status} Whatever", body, length=bool(body)))
    started, done = worker.fetch(url, file)
    assert started is None and file.read_bytes() == b""
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, 0x80190000 + status)
    assert done.detail == f"127.0.0.1 answered {text}"


def test_a_long_error_page(worker, server, file):
    # NET-30
    url = server.put("/f", answer("404 x", b"y" * 10_000_000))
    assert worker.fetch(url, file)[1].code == 0x80190194
    endless = server.hang("/g", answer("404 x", b"y" * 100, length=10**12))
    assert worker.fetch(endless, file)[1].code == 0x80190194
    assert file.read_bytes() == b""


def test_a_name_that_does_not_resolve(worker, file):
    # NET-32, NET-36
    _, done = worker.fetch("http://user:secret@host.invalid/f?token=1", file)
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, NOT_RESOLVED)
    assert done.detail == "Could not resolve host host.invalid"


def test_a_port_where_nobody_listens(worker, file):
    # NET-32, NET-36
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    _, done = worker.fetch(f"http://user:secret@127.0.0.1:{port}/f?token=1", file)
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, CANNOT_CONNECT)
    assert "127.0.0.1" in done.detail
    assert "secret" not in done.detail and "token" not in done.detail


def test_urls_that_are_not_ours(worker, file):
    # NET-22
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/", "", "http://", "x y",
                "http://127.0.0.1/\r\nX: y"):
        _, done = worker.fetch(url, file)
        assert (done.outcome, done.code) == (FAILED, INVALID_ARGUMENT)


def test_a_full_disk(worker, server, tmp_path):
    # NET-31
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    _, done = worker.fetch(server.put("/f", answer(body=CONTENT)), full)
    assert (done.outcome, done.context, done.code) == (FAILED, LOCAL_FILE, DISK_FULL)
    assert done.written == 0


def test_a_file_at_its_size_limit(server, file):
    # NET-31
    with Worker(before="ulimit -f 4") as worker:
        _, done = worker.fetch(server.put("/f", answer(body=CONTENT)), file)
        assert (done.outcome, done.context, done.code) == (FAILED, LOCAL_FILE, FILE_TOO_LARGE)
        assert done.written == file.stat().st_size == 4096


# ---- redirects ----

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(worker, server, file, status):
    # NET-20
    server.put("/b/c", answer(body=CONTENT))
    server.put("/b", redirect("b/c"))
    url = server.put("/a", redirect("/b", f"{status} Moved"))
    started, done = worker.fetch(url, file)
    assert started.remote_name == server.url + "/b/c" and done.outcome == COMPLETE
    assert file.read_bytes() == CONTENT and server.connections == 1


def test_a_redirect_keeps_the_range(worker, server, file):
    # NET-20, NET-02
    begin(file)
    server.put("/b", part(CONTENT, 100, ETag='"v1"'))
    _, done = worker.fetch(server.put("/a", redirect("/b")), file, **KNOWN)
    assert done.outcome == COMPLETE and file.read_bytes() == CONTENT
    assert server.last.headers["range"] == "bytes=100-"
    assert server.last.headers["if-range"] == '"v1"'


def test_a_long_redirect_body_is_not_read(worker, server, file):
    # NET-20
    server.put("/b", answer(body=b"x"))
    url = server.hang("/a", redirect("/b", body=b"y" * 100000))
    assert worker.fetch(url, file)[1].outcome == COMPLETE
    assert file.read_bytes() == b"x"


def test_twenty_hops_and_no_more(worker, server, file):
    # NET-20
    server.put("/20", answer(body=b"x"))
    for i in range(20):
        server.put(f"/{i}", redirect(f"/{i + 1}"))
    assert worker.fetch(server.url + "/0", file)[1].outcome == COMPLETE
    server.put("/-", redirect("/0"))
    _, done = worker.fetch(server.url + "/-", file)
    assert (done.outcome, done.code) == (FAILED, INVALID_RESPONSE)
    before = len(server.requests)
    _, done = worker.fetch(server.put("/loop", redirect("/loop")), file)
    assert (done.outcome, done.code) == (FAILED, INVALID_RESPONSE)
    assert len(server.requests) == before + 21


def test_redirects_that_the_job_forbids(worker, server, file):
    # NET-21
    started, done = worker.fetch(server.put("/a", redirect("/b")), file, flags=DISALLOW)
    assert started is None
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, 0x80190000 + 302)
    assert "does not permit" in done.detail
    assert done.remote_name == server.url + "/b" and "Location: /b" in done.headers  # NET-155


def test_redirects_to_nowhere(worker, server, file):
    # NET-22, NET-30
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/", "javascript:1"):
        _, done = worker.fetch(server.put("/a", redirect(target)), file)
        assert (done.outcome, done.code) == (FAILED, INVALID_RESPONSE), target
    _, done = worker.fetch(server.put("/a", answer("302 Found")), file)
    assert done.code == 0x80190000 + 302


CHALLENGES = {"basic": 'Basic realm="x"', "digest": 'Digest realm="x", nonce="n", qop="auth"'}


def demanding(scheme, then):
    """An answer to who shows somebody, a challenge to everybody else."""
    def route(request, send):
        shown = request.headers.get("authorization", "").lower().startswith(scheme)
        send(then if shown else answer("401 Who", WWW_Authenticate=CHALLENGES[scheme]))
    return route


@pytest.mark.parametrize("scheme", CHALLENGES)
def test_the_user_of_a_url_is_shown_to_who_asks(worker, server, file, scheme):
    # NET-420, NET-59
    named = server.url.replace("//", "//us%65r:secret@")
    server.put("/open", answer(body=b"x"))
    server.put("/moved", redirect("/shut"))
    server.put("/elsewhere", redirect(server.url.replace("//", "//mary:other@") + "/open"))
    server.put("/shut", demanding(scheme, answer(body=b"y")))
    for path in ("/open", "/elsewhere"):
        assert worker.fetch(named + path, file)[1].outcome == COMPLETE
    assert not any("authorization" in request.headers for request in server.requests)
    for path in ("/shut", "/moved"):
        started, done = worker.fetch(named + path, file)
        assert done.outcome == COMPLETE and "secret" not in started.remote_name
        assert server.last.headers["authorization"].lower().startswith(scheme)
    _, done = worker.fetch(server.url.replace("//", "//user%0a:secret@") + "/shut", file)
    assert done.code == 0x80190191 and "none that fit" in done.detail


def test_credentials_stay_with_their_host(worker, server, file):
    # NET-23
    other = Server()
    other.put("/b", demanding("basic", answer(body=b"x")))
    server.put("/a", redirect(other.url.replace("127.0.0.1", "localhost") + "/b"))
    _, done = worker.fetch(server.url.replace("//", "//user:secret@") + "/a", file)
    other.close()
    assert (done.outcome, done.code) == (FAILED, 0x80190191) and "secret" not in done.detail
    assert len(other.requests) == 1
    assert "authorization" not in other.last.headers and "referer" not in other.last.headers


# ---- TLS ----

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key", "-out",
                    folder / "certificate", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate", certificate / "key")
    s = Server(context)
    yield s
    s.close()


def test_https(certificate, tls_server, server, file):
    # NET-37, NET-22
    with Worker(SSL_CERT_FILE=str(certificate / "certificate")) as worker:
        url = tls_server.put("/f", answer(body=CONTENT))
        assert worker.fetch(url, file)[1].outcome == COMPLETE
        assert file.read_bytes() == CONTENT
        # the certificate is for the address, not for the name
        _, done = worker.fetch(url.replace("127.0.0.1", "localhost"), file)
        assert (done.outcome, done.code) == (FAILED, SECURE_FAILURE)
        down = tls_server.put("/down", redirect(server.put("/f", answer(body=b"x"))))
        _, done = worker.fetch(down, file)
        assert (done.outcome, done.code) == (FAILED, 0x80190000 + 302)
        assert "from https to http that the job does not permit" in done.detail     # NET-421
        assert server.requests == []
        assert worker.fetch(down, file, flags=HTTPS_TO_HTTP)[1].outcome == COMPLETE


def test_a_certificate_of_nobody(worker, tls_server, file):
    # NET-37
    _, done = worker.fetch(tls_server.put("/f", answer(body=CONTENT)), file)
    assert (done.outcome, done.context, done.code) == (FAILED, REMOTE_FILE, SECURE_FAILURE)
    assert tls_server.requests == [] and file.read_bytes() == b""


def test_a_handshake_that_is_cut(worker, file):
    # NET-32
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker.start(f"https://127.0.0.1:{listener.getsockname()[1]}/f", file)
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
        done = worker.wait("NET_DONE")[-1]
    assert (done.outcome, done.code) == (FAILED, CONNECTION_ERROR)


# ---- proxies, and a real server ----

def test_proxies_of_the_environment(server, file):
    # NET-38
    with Worker(http_proxy=server.url, https_proxy=server.url) as worker:
        server.put("http://host.invalid/f", answer(body=CONTENT))
        assert worker.fetch("http://host.invalid/f", file)[1].outcome == COMPLETE
        assert file.read_bytes() == CONTENT
        server.cut("host.invalid:443", answer("407 x"))
        _, done = worker.fetch("https://host.invalid/f", file)
        assert (done.outcome, done.code) == (FAILED, 0x80190000 + 407)
        assert "proxy" in done.detail and "host.invalid" in done.detail


def test_own_proxy_settings_keep_the_environments_out(server, file):
    # NET-64
    with Worker(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1") as worker:
        server.put("/f", answer(body=CONTENT))
        assert worker.fetch(server.url + "/f", file, proxy_usage=1)[1].outcome == COMPLETE
        server.put("http://127.0.0.1:2/f", answer(body=CONTENT))
        _, done = worker.fetch("http://127.0.0.1:2/f", file, proxy_usage=2,
                               proxy_list=server.url)
        assert done.outcome == COMPLETE


@pytest.fixture
def nginx(tmp_path, certificate):
    """nginx with HTTP/2 over TLS; gives (base URL, folder that it serves)."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        pytest.skip("needs nginx")
    port = servers.free_port()
    folder = tmp_path / "nginx"
    (folder / "www").mkdir(parents=True)
    (folder / "conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log stderr;
        events {{ }}
        http {{
            log_format short '$server_protocol $connection';
            access_log {folder}/log short;
            client_body_temp_path {folder}; proxy_temp_path {folder};
            fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
            server {{
                listen 127.0.0.1:{port} ssl http2; root {folder}/www;
                ssl_certificate {certificate}/certificate; ssl_certificate_key {certificate}/key;
            }}
        }}""")
    process = subprocess.Popen([program, "-c", folder / "conf", "-e", "stderr"])
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None and time.monotonic() < deadline
        select.select([], [], [], 0.01)
    yield f"https://127.0.0.1:{port}", folder
    process.terminate()
    process.wait(PATIENCE)


def test_http_2(certificate, nginx, tmp_path):
    # NET-39
    url, folder = nginx
    for i in range(100):
        (folder / "www" / str(i)).write_bytes(b"%d" % i * 50000)
    with Worker(SSL_CERT_FILE=str(certificate / "certificate")) as worker:
        for i in range(100):
            worker.start(f"{url}/{i}", tmp_path / str(i))
        for i in range(100):
            assert worker.wait("NET_DONE")[-1].outcome == COMPLETE
        for i in range(100):
            assert (tmp_path / str(i)).read_bytes() == b"%d" % i * 50000
        path = tmp_path / "99"
        started, _ = worker.fetch(f"{url}/99", path)
        path.write_bytes(path.read_bytes()[:1000])
        known = {"offset": 1000, "total": started.total, "etag": started.etag}
        resumed, done = worker.fetch(f"{url}/99", path, **known)
        assert resumed.status == 206 and done.outcome == COMPLETE
        assert path.read_bytes() == b"99" * 50000
        (folder / "www" / "99").write_bytes(b"another")
        assert worker.fetch(f"{url}/99", path, **known)[1].outcome == VERSION_CHANGED
        assert worker.fetch(f"{url}/none", path)[1].code == 0x80190000 + 404
    log = (folder / "log").read_text().splitlines()
    assert all(line.startswith("HTTP/2.0 ") for line in log)
    assert len({line.split()[-1] for line in log}) == 1  # one connection for all


# ---- the channel ----

def test_a_stop_in_flight(worker, server, file):
    # NET-42
    url = server.hang("/f", answer(body=CONTENT, length=len(CONTENT) * 2))
    transfer = worker.start(url, file)
    *_, progress = worker.wait("NET_PROGRESS")
    assert progress.written == len(CONTENT)
    worker.stop(transfer)
    *_, done = worker.wait("NET_DONE")
    assert done == (transfer, STOPPED, 0, 0, len(CONTENT), 0, "", "", "")
    assert file.read_bytes() == CONTENT


def test_a_stop_before_the_answer(worker, server, file):
    # NET-42
    transfer = worker.start(server.hang("/f", b""), file)
    with server.changed:
        assert server.changed.wait_for(lambda: server.requests, PATIENCE)
    worker.stop(transfer)
    assert worker.wait("NET_DONE")[-1].outcome == STOPPED


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to replace the name server")
def test_a_stop_while_a_name_server_is_silent(server, file, tmp_path):
    # NET-42: the others are not kept waiting
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.53.53", 53))
    silent.settimeout(PATIENCE)
    # Whoever waited for the name server would do so beyond the patience of our end of the channel.
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.53.53\noptions timeout:30\n")
    mount = f"mount --bind '{tmp_path}/resolv.conf' /etc/resolv.conf"
    with silent, Worker(before=mount, wrapper=["unshare", "--mount"]) as worker:
        transfer = worker.start("http://example.invalid./f", file)
        silent.recv(1000)
        worker.stop(transfer)
        assert worker.wait("NET_DONE")[-1].outcome == STOPPED
        assert worker.fetch(server.put("/f", answer(body=b"x")), file)[1].outcome == COMPLETE


# NET-350: a server without a way to it is no sign that there is no network.
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network of its own")
@pytest.mark.parametrize("before, host, code", [
    ("true", "192.0.2.7", DISCONNECTED),
    ("true", "127.0.0.1", DISCONNECTED),
    ("ip link set lo up", "[2001:db8::7]", DISCONNECTED),
    ("ip link set lo up", "127.0.0.1", CANNOT_CONNECT),
    ("ip link set lo up && ip route add default dev lo", "[2001:db8::7]", CANNOT_CONNECT)])
def test_no_network(file, before, host, code):
    with Worker(before=before, wrapper=["unshare", "--net"]) as worker:
        _, done = worker.fetch(f"http://{host}:9/f", file)
    assert (done.outcome, done.code) == (FAILED, code)
    assert (done.context == QUEUE_MANAGER) == ("no route to any other network" in done.detail) \
        == (code == DISCONNECTED)


def test_a_stop_that_comes_too_late(worker, server, file):
    # NET-42: neither an answer nor the end
    url = server.put("/f", answer(body=b"x"))
    _, done = worker.fetch(url, file)
    worker.stop(done.transfer)
    worker.stop(12345)
    started, done = worker.fetch(url, file)
    assert started.transfer == done.transfer == 2 and worker.is_silent()


def test_a_number_can_be_used_again(worker, server, file):
    # NET-42
    url = server.put("/f", answer(body=b"x"))
    for _ in range(3):
        assert worker.fetch(url, file, transfer=9)[1].outcome == COMPLETE


def test_progress_is_told_now_and_then(worker, server, file):
    # NET-40: the server goes on until enough has been told
    told = threading.Event()

    def route(_, send):
        send(answer(length=False, Transfer_Encoding="chunked"))
        while not told.wait(0.01) and not server.released.is_set():
            send(b"2\r\nxx\r\n")
        send(b"0\r\n\r\n")
    server.routes["/f"] = route
    before = time.monotonic()
    worker.start(server.url + "/f", file)
    progress = [worker.wait("NET_PROGRESS")[-1] for _ in range(5)]
    told.set()
    *more, done = worker.wait("NET_DONE")
    seconds = time.monotonic() - before
    assert done.outcome == COMPLETE
    assert len(progress + more) <= seconds / 0.2
    written = [p.written for p in progress + more]
    assert written == sorted(set(written)) and written[-1] <= done.written


def test_many_small_files_at_once(worker, server, tmp_path):
    # NET-44, NET-42
    names = {}
    for i in range(200):
        url = server.put(f"/{i}", answer(body=b"%d" % i * 1000))
        names[worker.start(url, tmp_path / str(i))] = i
    ended = set()
    while len(ended) < 200:
        done = worker.wait("NET_DONE")[-1]
        assert done.outcome == COMPLETE and done.transfer not in ended
        ended.add(done.transfer)
    for i in range(200):
        assert (tmp_path / str(i)).read_bytes() == b"%d" % i * 1000
    assert server.connections <= 8 and worker.is_silent()


def start_bytes(**fields):
    return wire.pack("NET_START", SERIAL, file=0, **start_fields(1, **fields))[0]


@pytest.mark.parametrize("message,fds", [
    (b"rubbish!", 0),
    (b"x", 0),
    (struct.pack("=HHI", 0x99, 0, 0), 0),
    (wire.pack("WORKER_HELLO", version=1, kind=1, uid=0, layers=0)[0], 0),
    (wire.pack("NET_PROGRESS", transfer=1, written=1)[0], 0),
    (wire.pack("NET_STOP", transfer=1)[0][:-8], 0),
    (wire.pack("NET_STOP", transfer=1)[0] + b"more", 0),
    (start_bytes()[:-3], 1),
    (start_bytes(), 0),
    (start_bytes(), 2),
    (start_bytes(flags=32), 1),
    (start_bytes(security=0x100), 1),
    (start_bytes(method="GET /"), 1),
    (start_bytes(secrets=1), 1),
    (start_bytes(secrets=1), 3),
    (start_bytes(secrets=32), 2),
    (start_bytes(etag='"\r\nX: y"'), 1),
    (start_bytes(date="\n"), 1),
    (start_bytes(offset=1 << 63), 1),
])
def test_a_peer_that_speaks_nonsense_is_left(message, fds):
    # NET-43
    with Worker() as worker:
        null = os.open("/dev/null", os.O_WRONLY)
        worker.channel.send_raw(message, [null] * fds)
        os.close(null)
        assert worker.ends() == 1


def test_a_number_in_use_is_nonsense(server, file):
    # NET-43
    with Worker() as worker:
        worker.start(server.hang("/f", b""), file, transfer=5)
        worker.start(server.hang("/f", b""), file, transfer=5)
        assert worker.ends() == 1


def test_the_end_of_the_channel_ends_it(server, file):
    # NET-41
    with Worker() as worker:
        worker.start(server.hang("/f", answer(body=b"x", length=10)), file)
        worker.wait("NET_STARTED")
        worker.channel.close()
        assert worker.process.wait(PATIENCE) == 0
        assert worker.process.stderr.read() == b""


def test_a_manager_that_is_gone_is_no_error(server, file):
    # NET-41: what would be told after its end is not
    with Worker() as worker:
        for i in range(50):
            worker.start("nonsense:", file)
        worker.channel.close()
        assert worker.process.wait(PATIENCE) == 0
        assert worker.process.stderr.read() == b""


def test_it_ends_when_nobody_asks_for_anything(server, file):
    # NET-41
    with Worker(OPENBITS_NET_IDLE_SECONDS="3") as worker:      # that we may be late with our question
        assert worker.fetch(server.put("/f", answer(body=b"x")), file)[1].outcome == COMPLETE
        assert worker.ends() == 0


def test_it_does_not_end_while_something_is_under_way(server, file):
    # NET-41
    with Worker(OPENBITS_NET_IDLE_SECONDS="3", OPENBITS_NET_STALL_SECONDS="5") as worker:
        _, done = worker.fetch(server.hang("/f", b""), file)
        assert done.code == TIMEOUT
        assert worker.ends() == 0
