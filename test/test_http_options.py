"""What a job shows of itself over HTTPS and how it judges servers: client certificates, custom headers,
security flags, redirects; against nginx, with certificates by openssl, and real users.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile

import pytest

import bus
import conftest
import tls
from bits_server import BitsServer
from bus import CLIENT_CERTIFICATE, CONTEXT_LOCAL_FILE, CONTEXT_REMOTE_FILE, HTTP_OPTIONS, LOCAL_FILE, NETWORK

DATA = os.urandom(100_000)
NEEDED, REV_FAILED, REVOKED, SECURE_FAILURE, NO_KEY = (0x80072F0C, 0x80072F19, 0x80072F8A, 0x80072F8F,
                                                       0x80072F9A)
NOT_FOUND, NO_CERTIFICATE, E403 = 0x80070002, 0x80092004, 0x80190193
CRL, NAME, DATE, ISSUER, USAGE = 1, 2, 4, 8, 16
REPORT, DISALLOW, DOWN = 0x100, 0x200, 0x800
PASSPHRASE = 'a b:ü'
pytestmark = pytest.mark.skipif(bool(tls.missing()), reason=f'not installed: {" ".join(tls.missing())}')


class Site:
    """The authority, its certificates, and the servers that show them."""

    def __init__(self, folder):
        self.ca = tls.Authority(folder / 'ca')
        self.stranger = tls.Authority(folder / 'stranger', 'Stranger')
        self.silent = tls.Authority(folder / 'silent', 'Silent')    # trusted; has no list of its own
        self.trusted = folder / 'trusted.pem'
        self.trusted.write_bytes(self.ca.certificate.read_bytes() + self.silent.certificate.read_bytes())
        self.web = web = tls.Web(folder / 'web')
        (web.files / 'file').write_bytes(DATA)
        plain = web.serve('plain', extra='location /post { if ($request_method = POST) { return 200 posted; } }')
        lists = f'http://127.0.0.1:{plain}'
        good = self.ca.sign('good')
        client = f'ssl_client_certificate {self.ca.certificate};'
        web.serve('good', *good, extra=f'location /down {{ return 302 http://localhost:{plain}/file; }} '
                  'location /moved { return 302 /file; } location /gone { return 308 /file; } '
                  'location /away { return 302 https://127.0.0.1:$arg_port/file; }')
        web.serve('second', *good)
        web.serve('demands', *good, extra=client + ' ssl_verify_client on;')
        web.serve('asks', *good, extra=client + ' ssl_verify_client optional;')
        web.serve('expired', *self.ca.sign('expired', start='20200101000000Z', end='20200201000000Z'))
        web.serve('future', *self.ca.sign('future', start='20400101000000Z', end='20410101000000Z'))
        web.serve('misnamed', *self.ca.sign('misnamed', names='DNS:elsewhere.test'))
        web.serve('unknown', *self.stranger.sign('unknown'))
        web.serve('useless', *self.ca.sign('useless', use='clientAuth'))
        web.serve('bad', *self.stranger.sign('bad', use='clientAuth', names='DNS:elsewhere.test',
                                             start='20200101000000Z', end='20200201000000Z'))
        web.serve('listed', *self.ca.sign('listed', crl=f'{lists}/list.pem'))
        web.serve('revoked', *self.ca.sign('revoked', crl=f'{lists}/list.pem'))
        web.serve('unlisted', *self.silent.sign('unlisted', crl=f'{lists}/none.pem'))
        web.serve('garbled', *self.silent.sign('garbled', crl=f'{lists}/file'))
        web.serve('another list', *self.silent.sign('another', crl=f'{lists}/list.pem'))
        web.serve('no address', *self.silent.sign('bare'))
        self.ca.revoke('revoked')
        self.ca.list(web.files / 'list.pem')
        for name in ('alice', 'bob'):
            self.ca.sign(name, use='clientAuth', names=None)
        self.stranger.sign('mallory', use='clientAuth', names=None)
        web.start()

    def give(self, world, name, uid, kind='pem', authority=None):
        """The certificate and key of that name as one file that only this user can read."""
        authority = authority or self.ca
        path = world.vault(uid) / f'{name}.{kind}'
        certificate, key = authority.path(name, 'pem'), authority.path(name, 'key')
        if kind == 'pem':
            path.write_bytes(certificate.read_bytes() + key.read_bytes())
        elif kind == 'p12':
            tls.openssl('pkcs12', '-export', '-in', certificate, '-inkey', key, '-out', path,
                        '-passout', f'pass:{PASSPHRASE}', '-certfile', authority.certificate)
        path.chmod(0o600)
        own(path, uid)
        return path


def own(path, uid):
    if conftest.ROOT:
        os.chown(path, uid, uid)
    return path


@pytest.fixture(scope='module')
def site():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-tls-'))
    folder.chmod(0o711)
    site = Site(folder)
    yield site
    site.web.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='module')
def playground(nginx, site):
    playground = conftest.new_playground(nginx, SSL_CERT_FILE=str(site.trusted))
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture
def impatient_world(nginx, server, site):
    """Where a judge has three seconds."""
    playground = conftest.new_playground(nginx, SSL_CERT_FILE=str(site.trusted),
                                         OPENBITS_VALIDATION_SECONDS='3')
    with playground:
        world = conftest.World(playground, server)
        yield world
        world.close()


@pytest.fixture(autouse=True)
def forgotten(site):
    site.web.forget()


def http(job, member, signature='', *arguments):
    return job.call(member, signature, *arguments, interface=HTTP_OPTIONS)


def set_certificate(job, certificate, key='', passphrase=''):
    http(job, 'SetClientCertificate', 'sss', str(certificate), str(key), passphrase)


def set_flags(job, flags):
    job.bus.call(job.path, bus.PROPERTIES, 'Set', 'ssv', HTTP_OPTIONS, 'SecurityFlags', ('u', flags))


def get(job, name):
    return job.bus.call(job.path, bus.PROPERTIES, 'Get', 'ss', HTTP_OPTIONS, name)[1]


def make(world, url, uid=None):
    job = world.manager(uid).create()
    target = world.vault(uid) / 'a'
    job.add(url, target)
    return job, target


def fetched(job, target):
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == DATA


def failed(job):
    job.resume()
    job.wait('error')
    return job.error()


# ---- client certificates ----

# SEC-150, SEC-152: every form that a certificate comes in
@pytest.mark.parametrize('form', ['one file', 'two files', 'encrypted', 'pkcs12', 'der', 'link'])
def test_forms_of_a_certificate(world, site, form):
    job, target = make(world, site.web.url('demands', 'file'))
    folder = world.vault(world.alice)
    certificate, key = folder / 'c', folder / 'k'
    shutil.copy(site.ca.path('alice', 'pem'), certificate)
    shutil.copy(site.ca.path('alice', 'key'), key)
    arguments = certificate, key
    if form == 'one file':
        arguments = (site.give(world, 'alice', world.alice),)
    elif form == 'encrypted':
        tls.openssl('ec', '-in', site.ca.path('alice', 'key'), '-aes256', '-passout', f'pass:{PASSPHRASE}',
                    '-out', key)
        arguments = certificate, key, PASSPHRASE
    elif form == 'pkcs12':
        arguments = site.give(world, 'alice', world.alice, 'p12'), '', PASSPHRASE
    elif form == 'der':
        tls.openssl('x509', '-in', site.ca.path('alice', 'pem'), '-outform', 'DER', '-out', certificate)
        tls.openssl('ec', '-in', site.ca.path('alice', 'key'), '-outform', 'DER', '-out', key)
    elif form == 'link':
        (folder / 'l').symlink_to(certificate)
        arguments = folder / 'l', key
    for path in certificate, key:
        own(path, world.alice)
    set_certificate(job, *arguments)
    fetched(job, target)
    assert '200 CN=alice' in site.web.lines('demands')[0]


# SEC-150: names come back, nothing else
def test_what_is_told_of_a_certificate(world, site):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as error:
        http(job, 'GetClientCertificate')
    assert error.value.short == 'BadStubData'
    assert http(job, 'RemoveClientCertificate') == 1
    path = site.give(world, 'alice', world.alice, 'p12')
    set_certificate(job, path, '', PASSPHRASE)
    assert http(job, 'GetClientCertificate') == (str(path), '')
    assert 'passphrase' not in job.introspect().replace('name="passphrase" direction="in"', '')
    with world.database() as database:
        row = database.execute('SELECT * FROM jobs WHERE id = ?', (job.id,)).fetchone()
    assert PASSPHRASE.encode() not in repr(row).encode() and 'PRIVATE' not in repr(row)
    assert http(job, 'RemoveClientCertificate') == 0
    assert http(job, 'RemoveClientCertificate') == 1
    set_certificate(job, 'none')
    assert http(job, 'GetClientCertificate') == ('none', '')


# SEC-158: refused at the call
@pytest.mark.parametrize('what, short', [
    ('missing', 'NoSuchFile'), ('directory', 'InvalidArgument'), ('fifo', 'InvalidArgument'),
    ('huge', 'FileTooLarge'), ('unreadable', 'AccessDenied'), ('magic', 'InvalidArgument'),
    ('relative', 'InvalidArgument'), ('pkcs11', 'NotImplemented'), ('long', 'StringTooLong'),
    ('key missing', 'NoSuchFile'), ('loop', 'InvalidArgument'),
])
def test_names_that_cannot_be_right(world, site, what, short):
    folder = world.vault(world.alice)
    path, key = folder / 'c', ''
    if what == 'directory':
        path.mkdir()
    elif what == 'fifo':
        os.mkfifo(path)
    elif what == 'huge':
        path.write_bytes(b'x' * (256 * 1024 + 1))
    elif what == 'unreadable':
        path = site.give(world, 'alice', world.bob)
        if not conftest.ROOT:
            path.chmod(0)
    elif what == 'magic':
        path = '/proc/self/fd/3'
    elif what == 'relative':
        path = 'c'
    elif what == 'pkcs11':
        path = 'pkcs11:object=x'
    elif what == 'long':
        path = '/' + 'x' * 5000
    elif what == 'key missing':
        path, key = site.give(world, 'alice', world.alice), folder / 'k'
    elif what == 'loop':
        path.symlink_to(path)
    if isinstance(path, pathlib.Path) and path.exists() and what != 'unreadable':
        own(path, world.alice)
    job = world.manager().create()
    with pytest.raises(bus.BusError) as error:
        set_certificate(job, path, key)
    assert error.value.short == short, error.value.text
    with pytest.raises(bus.BusError):
        http(job, 'GetClientCertificate')


# SEC-152, SEC-158: what is found when it is used
@pytest.mark.parametrize('what, code', [
    ('no certificate', NO_CERTIFICATE), ('another key', NO_KEY), ('no key', NO_KEY),
    ('wrong passphrase', NO_KEY), ('no passphrase', NO_KEY), ('removed', NOT_FOUND),
    ('closed', NO_KEY), ('empty', NO_CERTIFICATE), ('garbage', NO_CERTIFICATE),
])
def test_certificates_that_cannot_be_used(world, site, what, code):
    job, _ = make(world, site.web.url('demands', 'file'))
    path = site.give(world, 'alice', world.alice, 'p12' if 'passphrase' in what else 'pem')
    passphrase = {'wrong passphrase': 'wrong'}.get(what, '')
    if what == 'no certificate':
        path.write_bytes(site.ca.path('alice', 'key').read_bytes())
    elif what == 'another key':
        path.write_bytes(site.ca.path('alice', 'pem').read_bytes() + site.ca.path('bob', 'key').read_bytes())
    elif what == 'no key':
        path.write_bytes(site.ca.path('alice', 'pem').read_bytes())
    elif what == 'empty':
        path.write_bytes(b'')
    elif what == 'garbage':
        path.write_bytes(os.urandom(5000))
    set_certificate(job, path, '', passphrase)
    if what == 'removed':
        path.unlink()
    elif what == 'closed':
        path.chmod(0)
    fault = failed(job)
    assert (fault.context, fault.code) == (CONTEXT_LOCAL_FILE, code), fault
    assert 'ertificate' in fault.text or 'PKCS#12' in fault.text
    assert not site.web.log.read_text()


# TOK-150: whose file is read, under every combination of flags
@pytest.mark.parametrize('flags', [f | n | c for f in (0, LOCAL_FILE) for n in (0, NETWORK)
                                   for c in (0, CLIENT_CERTIFICATE)])
def test_whose_certificate_is_read(root_world, site, flags):
    world = root_world
    job = world.manager().create()
    world.set_token(job, world.bob, flags)
    vault = world.vault(world.bob if flags & LOCAL_FILE else world.alice)
    job.add(site.web.url('demands', 'file'), vault / 'a')
    reader, other = ('bob', 'alice') if flags & CLIENT_CERTIFICATE else ('alice', 'bob')
    with pytest.raises(bus.BusError) as error:
        set_certificate(job, site.give(world, other, getattr(world, other)))
    assert error.value.short == 'AccessDenied'
    set_certificate(job, site.give(world, reader, getattr(world, reader)))
    fetched(job, vault / 'a')
    assert f'200 CN={reader}' in site.web.lines('demands')[0]
    assert (vault / 'a').stat().st_uid == (world.bob if flags & LOCAL_FILE else world.alice)


# TOK-150, TOK-06: the helper's work is not the owner's
def test_certificate_of_a_missing_helper(root_world, site):
    world = root_world
    job, _ = make(world, site.web.url('demands', 'file'))
    set_certificate(job, site.give(world, 'alice', world.alice))
    job.set_helper_flags(CLIENT_CERTIFICATE)
    fault = failed(job)
    assert (fault.context, fault.code) == (bus.CONTEXT_QUEUE_MANAGER, 0x80200056)
    with pytest.raises(bus.BusError) as error:
        set_certificate(job, site.give(world, 'alice', world.alice))
    assert error.value.short == 'TokenRequired'


# SEC-153: at the server
def test_servers_that_want_a_certificate(world, site):
    for server in 'demands', 'asks':
        job, target = make(world, site.web.url(server, 'file'))
        fault = failed(job)
        assert (fault.context, fault.code) == (CONTEXT_REMOTE_FILE, NEEDED), fault
        assert 'localhost asks for a client certificate' in fault.text
        set_certificate(job, site.give(world, 'alice', world.alice))
        fetched(job, target)                   # set one, resume
    job, target = make(world, site.web.url('asks', 'file'))
    set_certificate(job, 'none')
    fetched(job, target)
    assert '200 - ' in site.web.lines('asks', 2)[-1]


# SEC-153: a certificate that the server does not know
def test_a_wrong_certificate(world, site, nginx):
    job, _ = make(world, site.web.url('demands', 'file'))
    set_certificate(job, site.give(world, 'mallory', world.alice, authority=site.stranger))
    fault = failed(job)
    assert fault.context == CONTEXT_REMOTE_FILE and fault.code in (0x80190190, E403), fault


# SEC-153: an alert in the handshake is 403, too
def test_a_certificate_that_the_handshake_refuses(world, site):
    from net_worker import Server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.ca.path('good', 'pem'), site.ca.path('good', 'key'))
    context.load_verify_locations(site.ca.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2     # of 1.3 the alert may be lost with the connection
    server = Server(context)
    try:
        job, _ = make(world, server.url + '/file')
        set_certificate(job, site.give(world, 'mallory', world.alice, authority=site.stranger))
        fault = failed(job)
    finally:
        server.close()
    assert (fault.context, fault.code) == (CONTEXT_REMOTE_FILE, E403), fault
    assert 'did not accept' in fault.text


# SEC-153, NET-152: neither certificate nor headers follow a redirect to another place
def test_what_is_shown_stays_with_its_site(world, site):
    port = site.web.ports['asks']
    job, target = make(world, site.web.url('good', f'away?port={port}'))
    set_certificate(job, site.give(world, 'alice', world.alice))
    http(job, 'SetCustomHeaders', 's', 'X-One: secret')
    assert failed(job).code == NEEDED
    assert 'secret' in site.web.lines('good')[0] and f'{port} ' not in site.web.log.read_text()
    job, target = make(world, site.web.url('good', f'away?port={site.web.ports["second"]}'))
    http(job, 'SetCustomHeaders', 's', 'X-One: secret')
    fetched(job, target)
    assert '[-] [-]' in site.web.lines('second')[0]


# SEC-151: the owner's alone
def test_owner_only(root_world, site):
    world = root_world
    job = world.manager().create()
    set_certificate(job, site.give(world, 'alice', world.alice))
    http(job, 'SetCustomHeaders', 's', 'X-One: 1')
    as_root = bus.Job(world.manager(0).bus, job.path, job.id)
    for member, signature, arguments in (('SetClientCertificate', 'sss', ('/etc/passwd', '', '')),
                                         ('RemoveClientCertificate', '', ()),
                                         ('SetCustomHeaders', 's', ('A: b',)),
                                         ('GetCustomHeaders', '', ()),
                                         ('MakeCustomHeadersWriteOnly', '', ())):
        with pytest.raises(bus.BusError) as error:
            http(as_root, member, signature, *arguments)
        assert error.value.short == 'AccessDenied', member
    as_bob = bus.Job(world.manager(world.bob).bus, job.path, job.id)
    with pytest.raises(bus.BusError):
        http(as_bob, 'GetClientCertificate')
    set_flags(as_root, CRL)
    # SEC-155: and it is lost when the job is taken
    as_root.take_ownership()
    as_root = world.manager(0).job(job.id)
    assert http(as_root, 'RemoveClientCertificate') == 1
    assert http(as_root, 'GetCustomHeaders') == ''
    with world.database() as database:
        row = database.execute('SELECT certificate, custom_headers, certificate_passphrase FROM jobs '
                               'WHERE id = ?', (job.id,)).fetchone()
    assert row == ('', None, None)


# SEC-150, NET-150: over a restart of the daemon
def test_options_survive_a_restart(world, site):
    job, target = make(world, site.web.url('demands', 'file'))
    path = site.give(world, 'alice', world.alice, 'p12')
    set_certificate(job, path, '', PASSPHRASE)
    http(job, 'SetCustomHeaders', 's', 'X-One: 1\r\nX-Two: 2\r\n')
    http(job, 'MakeCustomHeadersWriteOnly')
    set_flags(job, DATE | REPORT)
    world.restart('bitsd')
    assert http(job, 'GetClientCertificate') == (str(path), '')
    assert get(job, 'SecurityFlags') == DATE | REPORT
    with pytest.raises(bus.BusError):
        http(job, 'GetCustomHeaders')
    fetched(job, target)
    assert '200 CN=alice [1] [2]' in site.web.lines('demands')[0]


# SEC-154: connections belong to a certificate
def test_certificates_do_not_share_connections(root_world, site):
    world = root_world
    for name in 'alice', 'bob', 'alice':
        job, target = make(world, site.web.url('asks', 'file'))
        set_certificate(job, site.give(world, name, world.alice))
        fetched(job, target)
    assert [line.split()[1] for line in site.web.lines('asks', 3)] == ['CN=alice', 'CN=bob', 'CN=alice']


# ---- custom headers ----

# NET-152, NET-157
def test_custom_headers(world, site):
    job, target = make(world, site.web.url('plain', 'file'))
    assert http(job, 'GetCustomHeaders') == ''
    text = 'X-One: a: b \nX-Two: ü'      # NET-410
    http(job, 'SetCustomHeaders', 's', text)
    assert http(job, 'GetCustomHeaders') == text
    http(job, 'MakeCustomHeadersWriteOnly')
    http(job, 'MakeCustomHeadersWriteOnly')
    for _ in range(2):
        with pytest.raises(bus.BusError) as error:
            http(job, 'GetCustomHeaders')
        assert error.value.short == 'AccessDenied'
        http(job, 'SetCustomHeaders', 's', text)
    with world.database() as database:
        assert b'X-One' not in repr(database.execute('SELECT * FROM jobs').fetchall()).encode()
    fetched(job, target)
    assert '[a: b] [\\xC3\\xBC]' in site.web.lines('plain')[0]


# NET-152, NET-153
@pytest.mark.parametrize('headers, short', [
    ('Host: other', 'InvalidArgument'), ('A: b\nHost: d', 'InvalidArgument'), ('A', 'InvalidArgument'),
    ('Range: bytes=0-1', 'InvalidArgument'), ('A: ' + 'x' * 16384, 'StringTooLong'),
])
def test_headers_that_are_refused(world, headers, short):
    job = world.manager().create()
    http(job, 'SetCustomHeaders', 's', 'A: kept')
    with pytest.raises(bus.BusError) as error:
        http(job, 'SetCustomHeaders', 's', headers)
    assert error.value.short == short
    assert http(job, 'GetCustomHeaders') == 'A: kept'
    http(job, 'SetCustomHeaders', 's', '')
    assert http(job, 'GetCustomHeaders') == ''


# ---- how servers are judged ----

# NET-151: each flag pardons its own fault and no other
@pytest.mark.parametrize('server, flag', [('expired', DATE), ('future', DATE), ('misnamed', NAME),
                                          ('unknown', ISSUER), ('useless', USAGE)])
def test_each_flag_pardons_one_fault(world, site, server, flag):
    job, target = make(world, site.web.url(server, 'file'))
    assert get(job, 'SecurityFlags') == 0
    for flags in 0, (NAME | DATE | ISSUER | USAGE) & ~flag:
        set_flags(job, flags)
        fault = failed(job)
        assert (fault.context, fault.code) == (CONTEXT_REMOTE_FILE, SECURE_FAILURE), (flags, fault)
    assert not site.web.log.read_text()
    set_flags(job, flag)
    fetched(job, target)


# NET-151
def test_several_faults_need_all_their_flags(world, site):
    job, target = make(world, site.web.url('bad', 'file'))
    everything = NAME | DATE | ISSUER | USAGE
    for missing in NAME, DATE, ISSUER, USAGE:
        set_flags(job, everything & ~missing)
        assert failed(job).code == SECURE_FAILURE, missing
    set_flags(job, everything)
    fetched(job, target)


# NET-154
@pytest.mark.parametrize('server, code', [('listed', 0), ('revoked', REVOKED), ('unlisted', REV_FAILED),
                                          ('garbled', REV_FAILED), ('another list', REV_FAILED),
                                          ('no address', REV_FAILED)])
def test_revocation(world, site, server, code):
    job, target = make(world, site.web.url(server, 'file'))
    set_flags(job, CRL)
    if code == 0:
        fetched(job, target)
        return
    fault = failed(job)
    assert (fault.context, fault.code) == (CONTEXT_REMOTE_FILE, code), fault
    set_flags(job, 0)
    fetched(job, target)


# NET-154: no other fault is pardoned by it, and it is asked only of who is trusted
def test_lists_are_fetched_for_trusted_servers_only(world, site):
    job, _ = make(world, site.web.url('unknown', 'file'))
    set_flags(job, CRL)
    assert failed(job).code == SECURE_FAILURE
    assert not site.web.log.read_text()


# NET-150
@pytest.mark.parametrize('flags', [0x20, 0x300, 0x400, 0x1000])
def test_unknown_flags(world, flags):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as error:
        set_flags(job, flags)
    assert error.value.short == 'NotImplemented' and get(job, 'SecurityFlags') == 0


# ---- redirects ----

# NET-155
def test_redirect_policies(world, site):
    url, final = site.web.url('good', 'moved'), site.web.url('good', 'file')
    job, target = make(world, url)
    job.resume()
    job.wait('transferred')
    assert job.files()[0].remote_name == url
    job.complete()
    job, target = make(world, url)
    set_flags(job, REPORT)
    job.resume()
    job.wait('transferred')
    assert job.files()[0].remote_name == final
    job.complete()
    for path, code in ('moved', 0x8019012E), ('gone', 0x80190134):
        job, target = make(world, site.web.url('good', path))
        set_flags(job, DISALLOW)
        fault = failed(job)
        assert (fault.context, fault.code, fault.remote_name) == (CONTEXT_REMOTE_FILE, code, final)
        fetched(job, target)        # inspected, resumed


# NET-155
def test_from_https_to_http(world, site):
    url = site.web.url('good', 'down')
    job, target = make(world, url)
    for flags in 0, REPORT, DISALLOW:
        set_flags(job, flags)
        fault = failed(job)
        assert (fault.code, fault.remote_name) == (0x8019012E, url), flags
    set_flags(job, DOWN)
    fetched(job, target)


# ---- the library ----

# LIB-150, LIB-151, LIB-152
def test_library(world, site, monkeypatch):
    from test_library import Failure, Library, as_alice
    for name in ('DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS'):
        if name in world.playground.environment:
            monkeypatch.setenv(name, world.playground.environment[name])
    bits = Library()
    text = ctypes.c_char_p
    bits.lib.bits_http_options_free.argtypes = [ctypes.c_void_p]
    with as_alice(world):
        manager = bits.new('manager_open' if world.root else 'manager_open_user')
        job = bits.new('manager_create_job', manager, b'x', 0)
    options = bits.new('job_query_http_options', job)
    certificate, key = text(), text()
    with pytest.raises(Failure) as error:
        bits('http_options_get_client_certificate', options, ctypes.byref(certificate), ctypes.byref(key))
    assert error.value.code == 0x800706F7
    assert bits('http_options_remove_client_certificate', options) == 1
    path = str(site.give(world, 'alice', world.alice, 'p12')).encode()
    bits('http_options_set_client_certificate', options, path, None, PASSPHRASE.encode())
    assert bits('http_options_get_client_certificate', options, ctypes.byref(certificate),
                ctypes.byref(key)) == 0
    assert (certificate.value, key.value) == (path, None)
    assert bits('http_options_remove_client_certificate', options) == 0
    headers = text()
    assert bits('http_options_get_custom_headers', options, ctypes.byref(headers)) == 1
    assert headers.value is None
    bits('http_options_set_custom_headers', options, b'A: b')
    assert bits('http_options_get_custom_headers', options, ctypes.byref(headers)) == 0
    assert headers.value == b'A: b'
    bits('http_options_make_custom_headers_write_only', options)
    with pytest.raises(Failure) as error:
        bits('http_options_get_custom_headers', options, ctypes.byref(headers))
    assert error.value.code == 0x80070005
    bits('http_options_set_custom_headers', options, None)
    assert bits.number('job_get_use_stored_credentials', job, ctypes.c_int) == 0     # LIB-156
    bits('job_set_use_stored_credentials', job, 1)
    assert bits.number('job_get_use_stored_credentials', job, ctypes.c_int) == 1
    bits('http_options_set_security_flags', options, CRL | DISALLOW)
    assert bits.number('http_options_get_security_flags', options) == CRL | DISALLOW
    with pytest.raises(Failure) as error:
        bits('http_options_set_security_flags', options, 0x20)
    assert error.value.code == 0x80004001
    bits.lib.bits_job_free(job)
    assert bits.number('http_options_get_security_flags', options) == CRL | DISALLOW
    bits.lib.bits_http_options_free(options)
    bits.lib.bits_manager_close(manager)


# ---- the method ----

def set_method(job, method):
    job.bus.call(job.path, bus.PROPERTIES, 'Set', 'ssv', HTTP_OPTIONS, 'HttpMethod', ('s', method))


# NET-156, NET-159
def test_a_method_of_its_own(world, site):
    job, target = make(world, site.web.url('plain', 'post'))
    assert get(job, 'HttpMethod') == 'GET' and job.get('Priority') == 'normal'
    set_method(job, 'GET')
    assert job.get('Priority') == 'normal'
    set_method(job, 'POST')
    assert get(job, 'HttpMethod') == 'POST' and job.get('Priority') == 'foreground'
    with pytest.raises(bus.BusError) as error:
        job.set('Priority', 'high')
    assert error.value.short == 'NotSupportedWithCustomHttpMethod'
    for name in 'DynamicContent', 'OnDemandMode':
        with pytest.raises(bus.BusError) as error:
            job.set(name, True, 'b')
        assert error.value.short == 'NotSupportedWithCustomHttpMethod', name
    world.restart('bitsd')
    assert get(job, 'HttpMethod') == 'POST'
    job.resume()
    job.wait('transferred')
    with pytest.raises(bus.BusError) as error:
        set_method(job, 'PUT')
    assert error.value.short == 'ReadOnlyPropertyAfterResume'
    set_method(job, 'POST')
    assert job.complete() == 0 and target.read_bytes() == b'posted'
    assert site.web.lines('plain')[0].endswith('POST')


# NET-159
@pytest.mark.parametrize('method, short', [('HEAD', 'InvalidArgument'), ('A B', 'InvalidArgument'),
                                           ('X' * 33, 'StringTooLong')])
def test_methods_that_are_none(world, method, short):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as error:
        set_method(job, method)
    assert error.value.short == short and get(job, 'HttpMethod') == 'GET'


# NET-159
def test_dynamic_content_has_no_method(world):
    for name in 'DynamicContent', 'OnDemandMode':
        job = world.manager().create()
        job.set(name, True, 'b')
        with pytest.raises(bus.BusError) as error:
            set_method(job, 'POST')
        assert error.value.short == 'UnsupportedJobConfiguration'


# NET-159: what else would be tried again is the end
def test_errors_of_a_method_are_fatal(world, server):
    job, _ = make(world, world.put(1000, status=503))
    set_method(job, 'REPORT')
    assert failed(job).code == 0x801901F7


# ---- who judges servers, too ----

class Judge:
    """A handle that judges: says what it is asked, and answers."""

    def __init__(self, world, job):
        self.job = bus.Job(world.handle(job.query_interface(HTTP_OPTIONS)), job.path, job.id)
        self.register()

    def register(self, enable=True):
        http(self.job, 'SetServerCertificateValidation', 'b', enable)
        self.seen = len(self.job.bus.signals)

    def asked(self):
        signal = self.job.bus.wait_signal(lambda s: s.member == 'ValidateServerCertificate', self.seen)
        self.seen = self.job.bus.signals.index(signal) + 1
        return signal.body

    def answer(self, request, code=0):
        http(self.job, 'AnswerServerCertificate', 'tu', request, code)

    def close(self):
        self.job.bus.close()


# NET-160
def test_a_judge_is_asked_before_the_request(world, site):
    url = site.web.url('good', 'file')
    job, target = make(world, url)
    judge = Judge(world, job)
    job.resume()
    request, index, remote_name, peer, fingerprint, chain = judge.asked()
    assert (index, remote_name, peer) == (0, url, f'localhost:{site.web.ports["good"]}')
    assert chain.count('BEGIN CERTIFICATE') == 2
    shown = tls.openssl('x509', '-noout', '-fingerprint', '-sha256', input=chain.encode()).decode()
    assert shown.strip().split('=')[1].replace(':', '').lower() == fingerprint
    assert not site.web.log.read_text()         # nothing was asked of it yet
    judge.answer(request)
    job.wait('transferred')
    assert job.complete() == 0 and target.read_bytes() == DATA
    with pytest.raises((bus.BusError, bus.Disconnected)):
        judge.answer(request)


# NET-160: after the system's own judgement, and not where there is no TLS
def test_a_judge_is_not_asked_in_vain(world, site):
    job, _ = make(world, site.web.url('expired', 'file'))
    judge = Judge(world, job)
    assert failed(job).code == SECURE_FAILURE
    job, target = make(world, site.web.url('plain', 'file'))
    other = Judge(world, job)
    fetched(job, target)
    assert not [s for j in (judge, other) for s in j.job.bus.signals if s.member.startswith('Validate')]


# NET-160, NET-162: once for a server and certificate, for all files of the job; anew for a new judge
def test_what_was_accepted_is_not_asked_again(world, site):
    job, _ = make(world, site.web.url('good', 'file'))
    folder = world.vault()
    for i in range(10):
        job.add(site.web.url('good', 'file'), folder / str(i))
    job.add(site.web.url('second', 'file'), folder / 'other')       # the same certificate elsewhere
    judge = Judge(world, job)
    job.resume()
    peers = []
    for _ in range(2):
        request, _, _, peer, *_ = judge.asked()
        peers.append(peer)
        judge.answer(request)
    job.wait('transferred')
    assert sorted(peers) == sorted(f'localhost:{site.web.ports[name]}' for name in ('good', 'second'))
    asked = [s for s in judge.job.bus.signals if s.member == 'ValidateServerCertificate']
    assert len(asked) == 2
    job.add(site.web.url('good', 'file'), folder / 'late')
    judge.register()
    job.resume()
    judge.answer(judge.asked()[0])
    job.wait('transferred')


# NET-160
def test_a_refusal_is_a_transient_error(world, site):
    job, target = make(world, site.web.url('good', 'file'))
    job.set('MinimumRetryDelay', 600)
    judge = Judge(world, job)
    job.resume()
    request = judge.asked()[0]
    with pytest.raises(bus.BusError) as error:
        judge.answer(request, 1)
    assert error.value.short == 'InvalidArgument'
    with pytest.raises(bus.BusError) as error:
        http(job, 'AnswerServerCertificate', 'tu', request, 0)      # another handle
    assert error.value.short == 'AccessDenied'
    with pytest.raises(bus.BusError) as error:
        judge.answer(request + 1)
    assert error.value.short == 'InvalidState'
    judge.answer(request, 0x80090325)
    job.wait('transient-error')
    fault = job.error()
    assert (fault.context, fault.code) == (8, 0x80090325) and '0x80090325' in fault.text
    assert not site.web.log.read_text()
    with pytest.raises(bus.BusError) as error:
        judge.register()
    assert error.value.short == 'ReadOnlyWhenJobActive'
    job.resume()
    judge.answer(judge.asked()[0])
    job.wait('transferred')


# NET-161: gone before, gone while it is asked, gone with the daemon; never without
@pytest.mark.parametrize('when', ['before', 'asked', 'restart'])
def test_a_judge_that_is_gone(world, site, when):
    job, target = make(world, site.web.url('good', 'file'))
    judge = Judge(world, job)
    if when == 'before':
        judge.close()
    elif when == 'restart':
        world.restart('bitsd')
    job.resume()
    if when == 'asked':
        judge.asked()
        judge.close()
    job.wait('error')
    fault = job.error()
    assert (fault.context, fault.code) == (8, 0x80200074), fault
    assert not site.web.log.read_text()
    again = Judge(world, job)
    job.resume()
    again.answer(again.asked()[0])
    job.wait('transferred')
    job.complete()


# NET-162
def test_nobody_has_to_judge_any_more(world, site):
    job, target = make(world, site.web.url('good', 'file'))
    judge = Judge(world, job)
    http(job, 'SetServerCertificateValidation', 'b', False)
    judge.close()
    fetched(job, target)


# NET-160: a judge that says nothing; what runs meanwhile runs on
def test_silence_ends_in_time(impatient_world, site):
    world = impatient_world
    job, _ = make(world, site.web.url('good', 'file'))
    judge = Judge(world, job)
    job.resume()
    judge.asked()
    other, target = make(world, site.web.url('good', 'file'))
    other.set('Priority', 'foreground')
    fetched(other, target)
    job.wait('transient-error')
    fault = job.error()
    assert (fault.context, fault.code) == (8, 0x80072EE2), fault


# LIB-153, LIB-154
def test_library_judges(world, site, monkeypatch):
    from test_library import Library, as_alice
    for name in ('DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS'):
        if name in world.playground.environment:
            monkeypatch.setenv(name, world.playground.environment[name])
    bits, seen = Library(), []
    bits.lib.bits_http_options_free.argtypes = [ctypes.c_void_p]

    class Certificate(ctypes.Structure):
        _fields_ = [('index', ctypes.c_uint32)] + [
            (name, ctypes.c_char_p) for name in ('remote_name', 'peer', 'fingerprint', 'chain')]

    @ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.POINTER(Certificate), ctypes.c_void_p)
    def judge(_, certificate, __):
        seen.append(certificate.contents.peer.decode())
        return 0
    target = world.vault() / 'a'
    with as_alice(world):
        manager = bits.new('manager_open' if world.root else 'manager_open_user')
        job = bits.new('manager_create_job', manager, b'x', 0)
    bits('job_add_file', job, site.web.url('good', 'file').encode(), str(target).encode())
    options, method = bits.new('job_query_http_options', job), ctypes.c_char_p()
    bits('http_options_get_http_method', options, ctypes.byref(method))
    assert method.value == b'GET'
    bits('http_options_set_http_method', options, b'GET')
    bits('http_options_set_server_certificate_validation', options, judge, None)
    bits('job_resume', job)
    assert bits.wait(job) == 6 and seen == [f'localhost:{site.web.ports["good"]}']
    bits.lib.bits_job_free(job)
    bits.lib.bits_http_options_free(options)
    bits.lib.bits_manager_close(manager)


# ---- the command ----

# CLI-150
def test_command(world, site):
    def bits(*arguments, status=0, **options):
        command = ['bits', *(() if world.root else ('--user',)), *map(str, arguments)]
        identity = {'user': world.alice, 'group': world.alice, 'extra_groups': []} if world.root else {}
        process = world.playground.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True, **identity, **options)
        out, error = process.communicate(options.pop('input', f'{PASSPHRASE}\nmore\n'), timeout=60)
        assert process.returncode == status, error
        return out, error
    world.present(world.alice)
    vault = world.vault(mode=0o755)
    p12 = site.give(world, 'alice', world.alice, 'p12')
    url = site.web.url('demands', 'file')
    _, error = bits('get', url, vault / 'a', status=1)
    assert 'client certificate' in error
    bits('get', url, vault / 'a', '--certificate', p12, '--passphrase-file', '-', '--header', 'X-One: 1',
         '--header', 'X-Two: 2')
    assert (vault / 'a').read_bytes() == DATA
    assert '200 CN=alice [1] [2]' in site.web.lines('demands')[-1]
    bits('get', site.web.url('expired', 'file'), vault / 'b', '--security', 'ignore-date,report-redirects')
    assert (vault / 'b').read_bytes() == DATA
    bits('get', site.web.url('plain', 'post'), vault / 'c', '--method', 'POST')
    assert (vault / 'c').read_bytes() == b'posted'
    for wrong in (('--security', 'all'), ('--header', 'A\nB: c'), ('--key', vault / 'a')):
        _, error = bits('create', *wrong, status=2)
    _, error = bits('create', '--certificate', vault / 'none', status=1)
    assert 'cannot use the client certificate' in error and 'No such file' in error
    out, _ = bits('create', '--certificate', 'none', '--security', 'no-redirects')
    job = world.manager().job(out.strip())
    assert http(job, 'GetClientCertificate') == ('none', '') and get(job, 'SecurityFlags') == DISALLOW


# ---- what the server said ----

# NET-158, LIB-155
def test_response_headers(world, site):
    job, _ = make(world, site.web.url('good', 'file'))
    job.add(site.web.url('good', 'missing'), world.vault() / 'b')

    def headers(number):
        return job.bus.call(f'{job.path}/file/{number}', bus.PROPERTIES, 'Get', 'ss',
                            bus.NAME + '.File', 'ResponseHeaders')[1]
    assert headers(0) == ''
    assert failed(job).code == 0x80190194
    assert headers(1).startswith('HTTP/1.1 404 ') and headers(1).endswith('\r\n')
    job.wait_until(lambda: headers(0))
    world.restart('bitsd')
    assert headers(0).startswith('HTTP/1.1 200 ') and f'Content-Length: {len(DATA)}\r\n' in headers(0)


# ---- uploads ----

# SEC-153, NET-152, NET-160: every request of an upload is like one of a download
def test_uploads_show_the_same(world, site, tmp_path):
    server = BitsServer(tmp_path / 'www')
    server.file('in').mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.ca.path('good', 'pem'), site.ca.path('good', 'key'))
    context.load_verify_locations(site.ca.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    try:
        job = world.manager().create('up', 'upload')
        source = world.vault() / 'source'
        source.write_bytes(DATA)
        own(source, world.alice)
        job.add(f'https://localhost:{server.port}/in/file', source)
        assert get(job, 'HttpMethod') == 'BITS_POST'
        with pytest.raises(bus.BusError) as error:
            set_method(job, 'POST')
        assert error.value.short == 'NotImplemented'
        set_certificate(job, site.give(world, 'alice', world.alice))
        http(job, 'SetCustomHeaders', 's', 'X-One: mine')
        judge = Judge(world, job)
        job.resume()
        judge.answer(judge.asked()[0])
        job.wait('transferred')
        assert server.file('in/file').read_bytes() == DATA
        assert server.seen and all(s.headers.get('x-one') == 'mine' for s in server.seen)
    finally:
        server.close()
