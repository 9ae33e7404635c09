"""Uploads through servers and proxies that demand to know who comes: a real KDC, Apache, nginx, Squid.

Apache and Squid stand in front of the BITS server; their access logs witness who was shown.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os

import pytest

import bus
import conftest
import servers
from bits_server import BitsServer
from conftest import USERS

MIB = 1 << 20
E401, E407 = 0x80190191, 0x80190197
ALICE, BOB, _ = USERS
PASSWORDS = {'paul': 'sEcret-paul-71'}

pytestmark = [pytest.mark.skipif(not conftest.ROOT, reason='needs root: several identities'),
              pytest.mark.skipif(bool(servers.missing()),
                                 reason=f'not installed: {" ".join(servers.missing())}')]


class Gate(servers.Apache):
    """Apache before the BITS server: /basic/…, /digest/…, /negotiate/… lead to it."""

    def __init__(self, realm, behind):
        self.behind = behind
        super().__init__(realm, PASSWORDS)

    def configuration(self, realm):
        return (''.join(f'LoadModule {name}_module {servers.MODULES}/mod_{name}.so\n'
                        for name in ('proxy', 'proxy_http'))
                + super().configuration(realm)
                + ''.join(f'ProxyPass /{place}/in http://127.0.0.1:{self.behind.port}/in\n'
                          for place in ('basic', 'digest', 'negotiate', 'bound', 'open')))


@pytest.fixture(scope='module')
def realm():
    realm = servers.Realm(USERS)
    yield realm
    realm.close()


@pytest.fixture(scope='module')
def behind(tmp_path_factory):
    server = BitsServer(tmp_path_factory.mktemp('www'))
    server.file('in').mkdir()
    server.application = lambda _url, data: b'reply to %d bytes' % len(data)
    yield server
    server.close()
    assert server.breaches == []


@pytest.fixture(scope='module')
def gate(realm, behind):
    gate = Gate(realm, behind)
    yield gate
    gate.close()


@pytest.fixture(scope='module')
def playground(nginx, realm):
    playground = conftest.new_playground(nginx, KRB5_CONFIG=str(realm.config))
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture
def world(playground, server, realm, gate, behind):
    world = conftest.World(playground, server)
    realm.kdestroy(*USERS.values())
    gate.log.mark()
    behind.seen.clear()
    yield world
    world.close()


def make(world, gate, place, content):
    path = world.vault() / 'source'
    path.write_bytes(content)
    path.chmod(0o600)
    os.chown(path, world.alice, world.alice)
    job = world.manager().create('up', 'upload-reply')
    job.add(f'http://localhost:{gate.port}/{place}/in/file', path)
    return job


def helper(world, job, uid):
    fd = world.token(uid)
    try:
        job.set_helper_token(fd)
    finally:
        os.close(fd)
    job.set_helper_flags(bus.NETWORK)


def credentials(job, target, scheme, user=None):
    job.call('SetCredentials', 'ssbss', target, scheme, not user, user or '', PASSWORDS.get(user, ''))


def sent(behind, job, content):
    job.resume()
    job.wait('transferred')
    assert job.reply_data() == b'reply to %d bytes' % len(content)
    assert job.complete() == 0
    assert behind.file('in/file').read_bytes() == content


# NET-126, NET-55
@pytest.mark.parametrize('scheme', ['basic', 'digest'])
def test_passwords(world, gate, behind, scheme):
    content = os.urandom(3 * MIB)
    job = make(world, gate, scheme, content)
    credentials(job, 'server', scheme, 'paul')
    sent(behind, job, content)
    assert {user for user in gate.log.users() if user != '-'} == {'paul'}
    assert all(s.status == 200 for s in behind.seen)


# NET-126, TOK-120: a helper's tickets, an owner's file
@pytest.mark.parametrize('place', ['negotiate', 'bound'])
def test_helper_with_tickets_is_shown(world, realm, gate, behind, place):
    content = os.urandom(3 * MIB)
    realm.kinit(world.bob, BOB)
    job = make(world, gate, place, content)
    helper(world, job, world.bob)
    credentials(job, 'server', 'negotiate')
    sent(behind, job, content)
    assert {user.split('@')[0] for user in gate.log.users() if user != '-'} == {BOB}


# NET-53: nobody is shown unasked
def test_without_credentials_nobody_is_shown(world, realm, gate):
    realm.kinit(world.alice, ALICE)
    job = make(world, gate, 'negotiate', b'x' * 1000)
    job.resume()
    job.wait('error')
    assert job.error().code == E401
    gate.log.wait(1)
    assert not gate.log.users()


# NET-126: Squid wants to know who comes, Apache behind it as well
def test_through_a_proxy_that_asks_too(world, realm, gate, behind):
    squid = servers.Squid(realm, PASSWORDS, 'negotiate')
    try:
        content = os.urandom(2 * MIB)
        realm.kinit(world.bob, BOB)
        job = make(world, gate, 'negotiate', content)
        helper(world, job, world.bob)
        credentials(job, 'proxy', 'negotiate')      # also for the server, which has none of its own
        job.call('SetProxySettings', 'sss', 'override', squid.address, '')
        sent(behind, job, content)
        for log in (squid.log, gate.log):
            assert {user.split('@')[0] for user in log.users() if user != '-'} == {BOB}
    finally:
        squid.close()


# NET-132: nginx takes no more than a megabyte unless told
def test_nginx_in_front(world, behind, tmp_path):
    port = servers.free_port()
    (tmp_path / 'nginx.conf').write_text(
        f'user root; daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n'
        'events {}\nhttp { access_log off; client_max_body_size 300k;\n'
        f' client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path};\n'
        f' uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};\n'
        f' server {{ listen 127.0.0.1:{port}; location / {{ proxy_http_version 1.1;'
        f' proxy_pass http://127.0.0.1:{behind.port}; }} }} }}\n')
    nginx = servers.Process(['/usr/sbin/nginx', '-c', str(tmp_path / 'nginx.conf')], port, tmp_path / 'log')
    try:
        content = os.urandom(2 * MIB)
        path = world.vault() / 'source'
        path.write_bytes(content)
        os.chown(path, world.alice, world.alice)
        job = world.manager().create('up', 'upload')
        job.add(f'http://127.0.0.1:{port}/in/file', path)
        job.resume()
        job.wait('transferred')
        assert behind.file('in/file').read_bytes() == content
        sizes = [s.range[1] - s.range[0] + 1 for s in behind.seen if s.range]
        assert max(sizes) <= 300 * 1024
    finally:
        nginx.close()


# SEC-120: a server may say that its reply is anywhere; the job's credentials are for its own host
@pytest.mark.parametrize('host', ['localhost', '127.0.0.1'])
def test_reply_from_another_host_shows_nobody(world, gate, behind, host):
    gate.publish('reply', b'elsewhere')
    behind.reply_url = lambda *_: f'http://{host}:{gate.port}/basic/reply'
    try:
        job = make(world, gate, 'basic', b'x' * 1000)
        credentials(job, 'server', 'basic', 'paul')
        job.resume()
        if host == 'localhost':         # as in the remote name
            job.wait('transferred')
            assert job.reply_data() == b'elsewhere'
        else:
            job.wait('error')
            assert job.error().code == E401
            bus.poll_until(lambda: '- 401 GET /basic/reply' in gate.log.lines(), 'Apache to note it')
    finally:
        behind.reply_url = None
