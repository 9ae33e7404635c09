"""Proxies that the network itself names (WPAD): a real resolver, scripts over HTTP, real Squids.

The hostile scripts are asked by bits-net alone, each by a worker of its own; what users see is asked
of the whole service.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

import bus
import conftest
import net_worker
import servers
import wire
import wpad_site
from faulty_server import Server

pytestmark = [pytest.mark.skipif(not conftest.ROOT, reason='needs root: networks of its own'),
              pytest.mark.skipif(bool(servers.missing()), reason='needs ' + ' '.join(servers.missing()))]

AUTODETECT = 3
WPAD = f'http://wpad.{wpad_site.DOMAIN}/wpad.dat'
MIB = 1 << 20
LIFE = 20                       # seconds that a bits-pac may live
WHOLE = 'function FindProxyForURL(url, host) { %s }'
NOWHERE = '10.99.1.1:9'         # where nobody listens


@pytest.fixture(scope='module')
def site():
    with wpad_site.wpad_site() as site:
        yield site


@pytest.fixture(scope='module')
def files(site):
    with site.network.entered():
        server = Server(address=wpad_site.FILES)
    yield server
    server.close()


@pytest.fixture(scope='module')
def realm(site):
    with site.network.entered():
        realm = servers.Realm(['alice', 'bob'])
    yield realm
    realm.close()


@pytest.fixture(scope='module')
def squid(site, realm):
    with site.network.entered():
        squid = servers.Squid(realm, {}, 'open')
    yield squid
    squid.close()


@pytest.fixture(autouse=True)
def ordinary(site, squid):
    site.restore()
    squid.log.mark()


# ---- one worker ----

@pytest.fixture(scope='module')
def program():
    with tempfile.TemporaryDirectory(prefix='openbits-libexec-') as folder:
        for name in 'net/bits-net', 'pac/bits-pac':
            shutil.copy(net_worker.BUILD / 'src' / name, folder)
        yield pathlib.Path(folder, 'bits-net')


@pytest.fixture
def worker(site, program):
    with site.network.entered():
        worker = net_worker.Worker(program=program)
    worker.channel.socket.settimeout(net_worker.PATIENCE + LIFE)
    with worker:
        yield worker


@pytest.fixture
def url(files):
    """Of a file, and its name is not that of an address."""
    files.put('/file', 1000)
    return f'http://files.example.org:{files.port}/file'


def fetch(worker, url, tmp_path, count=1):
    """One file, by autodetection: what NET_DONE says, and the log."""
    for _ in range(count):
        done = worker.fetch(url, tmp_path / 'file', proxy_usage=AUTODETECT)[1]
    return done


def log_of(worker):
    """What it has said by its end."""
    worker.channel.close()
    worker.process.wait(net_worker.PATIENCE)
    worker.log = worker.process.stderr.read().decode()
    return worker.log


# NET-440, NET-441, NET-445
def test_the_networks_proxy_is_used(worker, site, squid, url, tmp_path):
    site.place.answer(f'PROXY localhost:{squid.port}')
    assert fetch(worker, url, tmp_path).outcome == 0
    assert squid.log.wait(1) == [f'- 200 GET {url}']
    [(path, headers, uid)] = site.place.visits
    assert path == '/wpad.dat' and uid == os.geteuid()
    assert not {'Authorization', 'Proxy-Authorization', 'Cookie'} & set(headers)


# NET-445: in their order
@pytest.mark.parametrize('before', [f'PROXY {NOWHERE}', 'PROXY nobody.example.org:1', 'QUIC x:1'])
def test_the_next_proxy_is_tried(worker, site, squid, url, tmp_path, before):
    site.place.answer(f'{before}; PROXY localhost:{squid.port}; PROXY {NOWHERE}')
    assert fetch(worker, url, tmp_path).outcome == 0
    assert len(squid.log.wait(1)) == 1


# NET-445
@pytest.mark.parametrize('answer', ['DIRECT', '', f'PROXY {NOWHERE}; DIRECT'])
def test_no_proxy(worker, site, squid, url, tmp_path, answer):
    site.place.answer(answer)
    assert fetch(worker, url, tmp_path).outcome == 0
    assert squid.log.lines() == []


# NET-445: a name that only the proxy knows
def test_direct_first_and_then_a_proxy(worker, site, squid, files, tmp_path):
    files.put('/file', 1000)
    site.place.answer(f'DIRECT; PROXY localhost:{squid.port}')
    done = fetch(worker, f'http://hidden.example.org:{files.port}/file', tmp_path)
    assert len(squid.log.wait(1)) == 1 and 'hidden.example.org' in done.detail


# NET-445, SEC-443: by SOCKS, too, and without offering to show who comes
def test_socks(worker, site, url, tmp_path):
    with site.network.entered():
        listener = socket.create_server((wpad_site.PLACE, 1080))
    offers = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            offers.append(connection.recv(100))
    thread = threading.Thread(target=serve)
    thread.start()
    site.place.answer(f'SOCKS5 {wpad_site.PLACE}; DIRECT')
    assert fetch(worker, url, tmp_path).outcome == 0
    thread.join()
    listener.close()
    assert offers == [b'\x05\x01\x00']      # version 5, one way: no authentication


# NET-440: a redirect leads to another host, which has proxies of its own
def test_a_redirect_is_asked_for_anew(worker, site, squid, files, tmp_path):
    site.names.addresses['other.example.org'] = wpad_site.FILES
    files.put('/file', 1000)
    files.put('/moved', 0, status=302, location=f'http://other.example.org:{files.port}/file')
    site.place.serve_script(WHOLE % ('return host == "other.example.org"'
                                     f' ? "PROXY localhost:{squid.port}" : "DIRECT"'))
    assert fetch(worker, f'http://files.example.org:{files.port}/moved', tmp_path).outcome == 0
    assert squid.log.wait(1) == [f'- 200 GET http://other.example.org:{files.port}/file']


# NET-446: names and this machine's address, by the machine's resolver
def test_a_script_looks_at_names(worker, site, squid, url, tmp_path):
    site.place.serve_script(
        'function FindProxyForURL(url, host) {'
        ' return isInNet(host, "10.99.1.0", "255.255.255.0") && dnsResolve("nobody.example.org") === null'
        f' && isInNet(myIpAddress(), "10.99.2.0", "255.255.255.0") && host == "files.example.org"'
        f' && url.indexOf("http://files.example.org:") == 0 ? "PROXY localhost:{squid.port}" : "DIRECT" }}')
    assert fetch(worker, url, tmp_path).outcome == 0
    assert len(squid.log.wait(1)) == 1


# NET-441, NET-442: up to the organisation's domain and no further
def test_the_search_ends_at_the_organisation(worker, site, url, tmp_path):
    site.names.addresses = {'files.example.org': wpad_site.FILES, 'wpad.org': wpad_site.PLACE,
                            'wpad': wpad_site.PLACE}
    assert fetch(worker, url, tmp_path).outcome == 0
    looked_for = {name for name in site.names.asked if name.startswith('wpad')}
    assert {f'wpad.{wpad_site.DOMAIN}', 'wpad.example.org'} <= looked_for
    # what is behind is the resolver's own way with names that it does not find
    assert all(name.startswith(('wpad.lab.example.org', 'wpad.example.org')) for name in looked_for)
    assert site.place.visits == []
    assert 'no host wpad of this machine' in log_of(worker)


# NET-441
def test_the_organisations_own_place_is_found(worker, site, squid, url, tmp_path):
    site.names.addresses['wpad.example.org'] = site.names.addresses.pop(f'wpad.{wpad_site.DOMAIN}')
    site.place.answer(f'PROXY localhost:{squid.port}')
    assert fetch(worker, url, tmp_path).outcome == 0
    assert len(squid.log.wait(1)) == 1


# NET-444: servers that have no script
@pytest.mark.parametrize('script, options, reason', [
    ('x', {'status': 500}, 'was answered with 500'),
    ('x', {'status': 404}, 'was answered with 404'),
    ('x', {'status': 401, 'WWW_Authenticate': 'Basic realm=x'}, 'was answered with 401'),
    ('x', {'status': 302, 'Location': '/wpad.dat'}, 'edirect'),
    ('x', {'status': 302, 'Location': 'file:///etc/passwd'}, 'rotocol'),
    ('//' + 'x' * MIB, {}, 'is longer than a script may be'),
    ('//' + 'x' * MIB, {'Content_Length': '99999999999'}, 'is longer than a script may be'),
    ('//' + 'x' * MIB, {'Content_Length': None}, 'is longer than a script may be'),
    (b'\0\1\2', {}, 'is no text'),
    (b'', {}, 'is no text'),
], ids=['500', '404', '401', 'loop', 'file', 'long', 'lie', 'unsaid', 'nul', 'empty'])
def test_no_script(worker, site, squid, url, tmp_path, script, options, reason):
    site.place.serve_script(script, **options)
    assert fetch(worker, url, tmp_path, count=2).outcome == 0
    assert squid.log.lines() == []
    assert len(site.place.visits) <= 6     # once, not for each file
    log = log_of(worker)
    assert log.count('not autodetected') == 1 and reason in log



# NET-447, NET-444: whatever a script does, the file arrives, and soon
@pytest.mark.parametrize('script, reason', [
    ('<html>Welcome</html>', 'SyntaxError'),
    ('return 1', 'Error'),
    (b'function FindProxyForURL() { return "\xff\xfe" }', 'nonsense'),
    ('var x = 1', 'has no function FindProxyForURL'),
    (WHOLE % 'throw new Error("up")', 'Error: up'),
    (WHOLE % 'return 7', 'did not answer with a text'),
    (WHOLE % 'return "rubbish here"', 'answers with nonsense: rubbish here'),
    (WHOLE % 'while (true);', 'too much time or memory'),
    ('while (true);', 'too much time or memory'),
    (WHOLE % 'return /(x+x+)+y/.test(new Array(40).join("x"))', 'too much time or memory'),
    (WHOLE % 'var a = "x"; while (true) a += a', 'Error'),
    (WHOLE % 'var a = []; while (true) a.push(new Array(9999).join("y") + a.length)', WPAD),
    (WHOLE % 'return FindProxyForURL(url, host) + 1', 'RangeError'),
    (WHOLE % 'return new Array(100000).join("PROXY a:1;")', 'too long'),
    (WHOLE % 'for (var i = 0; ; i++) isResolvable("n" + i + ".example.org")', 'too many names'),
    ('(' * 500000, 'RangeError'),
], ids=['html', 'syntax', 'bytes', 'nothing', 'throws', 'number', 'rubbish', 'endless', 'endless-load',
        'regular', 'string', 'memory', 'recursion', 'answer', 'names', 'nesting'])
def test_hostile_script(worker, site, url, tmp_path, script, reason):
    site.place.serve_script(script)
    assert fetch(worker, url, tmp_path, count=2).outcome == 0
    log = log_of(worker)
    assert log.count('going without proxy') == 1 and reason in log


# NET-444: what never ends is not tried for each file
def test_an_endless_script_is_asked_once(worker, site, url, tmp_path):
    site.names.addresses['once.example.org'] = wpad_site.FILES
    site.place.serve_script(WHOLE % 'dnsResolve("once.example.org"); while (true);')
    assert fetch(worker, url, tmp_path, count=3).outcome == 0
    assert 1 <= site.names.asked.count('once.example.org') <= 2       # for either family


# NET-447: a name server that says nothing costs time and no more
def test_a_script_that_waits_for_ever(worker, site, url, tmp_path):
    site.names.silent = {'silent.example.org', 'silent.example.org.lab.example.org'}
    site.place.serve_script(WHOLE % 'return dnsResolve("silent.example.org") || "DIRECT"')
    assert fetch(worker, url, tmp_path).outcome == 0


# SEC-442
def test_a_script_sees_little_of_a_url(worker, site, files, tmp_path):
    site.place.serve_script('var seen = []; ' + WHOLE % 'throw "saw " + url + " " + host')
    fetch(worker, 'https://user:secret@Files.example.org:1/path?query#part', tmp_path)
    log = log_of(worker)
    assert 'saw https://files.example.org:1/ files.example.org' in log
    assert 'secret' not in log and 'query' not in log


def test_a_script_sees_where_a_file_is(worker, site, files, tmp_path):
    site.place.serve_script(WHOLE % 'throw "saw " + url + " " + host')
    fetch(worker, 'http://user:secret@files.example.org:1/path?query#part', tmp_path)
    assert 'saw http://files.example.org:1/path?query files.example.org' in log_of(worker)


# NET-443: one for all files of a worker
def test_a_script_is_fetched_once(worker, site, squid, url, tmp_path):
    site.place.answer(f'PROXY localhost:{squid.port}')
    assert fetch(worker, url, tmp_path, count=3).outcome == 0
    assert len(squid.log.wait(3)) == 3 and len(site.place.visits) == 1


# NET-443: another network has other proxies
def test_what_leads_nowhere_is_looked_for_again(worker, site, squid, url, tmp_path):
    site.place.answer(f'PROXY {NOWHERE}')
    done = fetch(worker, url, tmp_path)
    assert done.outcome == 3 and 'no proxy' not in done.detail
    site.place.answer(f'PROXY localhost:{squid.port}')
    assert fetch(worker, url, tmp_path).outcome == 0
    assert len(squid.log.wait(1)) == 1 and len(site.place.visits) == 1


# NET-444: what was missing is told with what it led to
def test_a_failure_says_that_no_proxy_was_found(worker, site, files, tmp_path):
    site.place.serve_script('', status=503)
    done = fetch(worker, 'http://hidden.example.org/', tmp_path)
    assert done.outcome == 3 and f'no proxy was used: {WPAD} was answered with 503' in done.detail


# NET-448
def test_this_machine_is_asked_directly(worker, site, tmp_path):
    with site.network.entered():
        here = Server()
    here.put('/file', 1000)
    site.place.answer(f'PROXY {NOWHERE}')
    for host in 'localhost', '127.0.0.1':
        assert fetch(worker, f'http://{host}:{here.port}/file', tmp_path).outcome == 0
    assert site.place.visits == []
    here.close()


# NET-42: a transfer is stopped while its proxy is looked for
def test_a_stop_in_between(worker, site, url, tmp_path):
    site.names.silent = {'silent.example.org', 'silent.example.org.lab.example.org'}
    site.place.serve_script(WHOLE % 'return dnsResolve("silent.example.org") || "DIRECT"')
    transfer = worker.start(url, tmp_path / 'file', proxy_usage=AUTODETECT)
    bus.poll_until(lambda: 'silent.example.org' in site.names.asked, 'the script to ask')
    worker.stop(transfer)
    assert worker.wait('NET_DONE')[-1].outcome == 1


# SEC-441: many at once, none is left, and none outlives the worker
def test_no_process_stays(worker, site, program, url, tmp_path):
    def running():
        found = set()
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                found.add((int(pid), os.readlink(f'/proc/{pid}/exe')))
            except OSError:
                pass        # it has ended, or is the kernel's
        return {pid for pid, exe in found if exe.startswith(str(program.parent))}
    transfers = {worker.start(url, tmp_path / f'file{n}', proxy_usage=AUTODETECT) for n in range(40)}
    while transfers:
        transfers.discard(worker.wait('NET_DONE')[-1].transfer)
    bus.poll_until(lambda: len(running()) == 2, 'the worker and its keeper to be alone')
    worker.channel.close()
    bus.poll_until(lambda: not running() - {worker.process.pid}, 'the keeper to be gone')


# ---- bits-pac alone ----

class Pac:
    """bits-pac with our end of its channel."""

    def __init__(self, program):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = wire.Channel(ours, net_worker.PATIENCE + LIFE)
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                ['/bin/bash', '-c', f'exec "$0" 3<&{number} {number}<&-', program.with_name('bits-pac')],
                pass_fds=[number], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.kill()
        assert b'Sanitizer' not in self.process.communicate()[1]

    def ask(self, script, url='http://example.org/', host='example.org'):
        self.channel.send('PAC_SCRIPT', 0, piece=script)
        self.channel.send('PAC_FIND', 0, url=url, host=host, addresses='192.0.2.1')

    def ended(self):
        return self.process.wait(net_worker.PATIENCE + LIFE)


@pytest.fixture
def pac(program):
    with Pac(program) as pac:
        yield pac


def test_pac_answers_and_ends(pac):
    pac.ask(WHOLE % 'return "PROXY a:1"')
    found = pac.channel.receive()
    assert (found.name, found.failed, found.text) == ('PAC_FOUND', 0, 'PROXY a:1')
    assert pac.ended() == 0


# NET-447: by the kernel, as the interpreter could not be asked to stop
def test_pac_has_little_time(pac):
    pac.ask('while (true);')
    assert pac.ended() == -signal.SIGKILL


# NET-447: whoever does not answer it cannot keep it either
def test_pac_has_a_short_life(pac):
    pac.ask(WHOLE % 'return dnsResolve("example.org")')
    assert pac.channel.receive().name == 'PAC_RESOLVE'
    assert pac.ended() == -signal.SIGALRM


# SEC-440: out of phase, unknown, too much
@pytest.mark.parametrize('send', [
    lambda pac: pac.channel.send('PAC_ADDRESSES', 0, addresses=''),
    lambda pac: pac.channel.send('PAC_FIND', 0, url='', host='', addresses=''),
    lambda pac: pac.channel.send('NET_STOP', 0, transfer=1),
    lambda pac: [pac.channel.send('PAC_SCRIPT', 0, piece='x' * 60000) for _ in range(18)],
], ids=['addresses', 'nothing', 'stranger', 'long'])
def test_pac_breaks_off(pac, send):
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        send(pac)
    assert pac.ended() == 1


def test_pac_ends_with_its_channel(pac):
    pac.channel.close()
    assert pac.ended() == 0


# ---- the whole service ----

@pytest.fixture(scope='module')
def playground(nginx, site, realm):
    playground = conftest.new_playground(nginx, KRB5_CONFIG=str(realm.config))
    with site.network.entered():
        playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(scope='module')
def knowing_squid(site, realm):
    """Asks who comes."""
    with site.network.entered():
        squid = servers.Squid(realm, {}, 'negotiate')
    yield squid
    squid.close()


@pytest.fixture
def world(playground, files):
    world = conftest.World(playground, files)
    yield world
    world.close()


def autodetects(world, url, vault=None):
    job = world.manager().create(Priority='foreground')
    target = (vault or world.vault()) / 'a'
    job.add(url, target)
    job.call('SetProxySettings', 'sss', 'autodetect', '', '')
    return job, target


def arrives(job, target):
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    return target.stat()


# NET-440, TOK-440, TOK-30: the network's proxy and the proxy itself see the helper, the disk the owner
def test_the_helper_asks_the_network(world, site, realm, knowing_squid, url):
    with site.network.entered():
        realm.kinit(world.bob, 'bob')
    knowing_squid.log.mark()
    site.place.answer(f'PROXY localhost:{knowing_squid.port}')
    job, target = autodetects(world, url)
    world.set_token(job, world.bob, bus.NETWORK)
    job.call('SetCredentials', 'ssbss', 'proxy', 'negotiate', True, '', '')
    assert arrives(job, target).st_uid == world.alice
    assert {uid for _, _, uid in site.place.visits} == {world.bob}
    assert knowing_squid.log.wait(1) and knowing_squid.log.users() == {f'bob@{servers.REALM}'}


# TOK-440: without a helper it is the owner, who is not shown unasked
def test_the_owner_asks_the_network(world, site, squid, url):
    site.place.answer(f'PROXY localhost:{squid.port}')
    job, target = autodetects(world, url)
    arrives(job, target)
    assert {uid for _, _, uid in site.place.visits} == {world.alice}
    assert squid.log.wait(1) and squid.log.users() == set()


# NET-440, NET-60: kept over a restart, as it was set
def test_the_setting_is_kept(world):
    job = world.manager().create()
    job.call('SetProxySettings', 'sss', 'autodetect', '', '')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert tuple(job.call('GetProxySettings')) == ('autodetect', '', '')
