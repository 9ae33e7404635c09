"""Whatever a client, a server, or a worker sends: the documented error, and no process dies.

Every test ends by looking whether the daemons are still the processes that they were.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import socket
import stat

import pytest

import bus
from bus import refused
import playground_lib
from conftest import World, new_playground, temporary_files

MIB = 1 << 20


@pytest.fixture(autouse=True)
def daemons_stay_alive(world):
    before = world.daemons()
    assert len(before) == 2
    yield
    world.manager().list()
    assert world.daemons() == before


def refused_or_cut_off(world, call):
    """Some messages are so bad that the bus itself ends the connection; a new one takes over."""
    try:
        call()
    except bus.BusError as error:
        return error.short
    except bus.Disconnected:
        world.connections.clear()
        return 'Disconnected'
    raise AssertionError('accepted')


# BUS-01
@pytest.mark.parametrize('name', ['', 'relative', './a', '../a', '~/a', '$HOME/a', 'file:///tmp/a',
                                  '/', '//', '/tmp/', '/tmp/.', '/tmp/..', '/tmp/../tmp/a',
                                  '/tmp/./a', '/proc/self/fd/1', '/proc/self/fd/0/a',
                                  '/proc/self/cwd/a', '/dev/null', '/sys/a', '/tmp/new\nline/a',
                                  '/' + 'a/' * 3000 + 'b', '/tmp/' + 'x' * 300,
                                  '/tmp/' + 'é' * 200], ids=lambda name: repr(name)[:20])
def test_local_names_that_are_none(world, name):
    job = world.manager().create()
    url = world.put(10)
    assert refused(job.add, url, name) in ('InvalidArgument', 'StringTooLong', 'PathNotFound',
                                           'AccessDenied')
    assert refused(job.add_all, [(url, world.vault() / 'good'), (url, name)])
    assert job.files() == []


# BUS-02
@pytest.mark.parametrize('size', [MIB, 8 * MIB])
def test_enormous_texts(world, size):
    manager = world.manager()
    job = manager.create()
    long = 'x' * size
    url = world.put(10)
    for call in (lambda: manager.create(long), lambda: manager.create('a', long),
                 lambda: manager.create(Description=long), lambda: manager.job(long),
                 lambda: job.add(url, '/' + long),
                 lambda: job.add('http://127.0.0.1/' + long, '/tmp/a'),
                 lambda: job.add(long, long), lambda: job.set('DisplayName', long),
                 lambda: job.set('Description', long), lambda: job.set('Priority', long),
                 lambda: job.query_interface(long), lambda: manager.list(State=long),
                 lambda: manager.call('GetErrorDescription', 'us', 0, long)):
        assert refused(call) in ('StringTooLong', 'InvalidArgument', 'NotFound', 'NotImplemented',
                                 'NoInterface', 'LimitsExceeded', 'LanguageNotFound',
                                 'ResourceLangNotFound'), call
    assert job.files() == []
    assert job.get('DisplayName') == 'a job'


# BUS-03
@pytest.mark.parametrize('url', ['', 'a', 'etc/passwd', 'http', 'http:', 'http:/', 'http://',
                                 'http:///a',
                                 'http://:80/a', 'http://a:b/c', 'http://a:99999/', 'http://[::1/a',
                                 'ftp://127.0.0.1/a', 'file://elsewhere/etc/passwd', 'gopher://127.0.0.1/',
                                 'javascript:alert(1)', 'dict://127.0.0.1/', 'scp://127.0.0.1/a',
                                 'http://127.0.0.1/a b', 'http://127.0.0.1/a\r\nX: y',
                                 'http://127.0.0.1/\x01', 'http://127.0.0.1/\x7f',
                                 '\nhttp://127.0.0.1/',
                                 ' http://127.0.0.1/', 'http://127.0.0.1/' + 'a' * 3000,
                                 'http://127.0.0.1/' + 'ü' * 150], ids=lambda url: repr(url)[:30])
def test_urls_that_are_none(world, url):
    job = world.manager().create()
    assert refused(job.add, url, world.vault() / 'a') == 'InvalidArgument'
    assert job.files() == []


# BUS-04
def test_links_in_the_directory_part_are_followed_and_the_kernel_decides(root_world):
    world = root_world
    vault = world.vault(world.alice)
    (vault / 'to-bob').symlink_to(world.vault(world.bob))
    (vault / 'to-root').symlink_to('/root')
    (vault / 'to-own').symlink_to(world.vault(world.alice))
    (vault / 'loop').symlink_to(vault / 'loop')
    (vault / 'file').write_bytes(b'')
    url = world.put(1000)
    job = world.manager().create()
    assert refused(job.add, url, vault / 'to-bob' / 'a') == 'AccessDenied'
    assert refused(job.add, url, vault / 'to-root' / 'a') == 'AccessDenied'
    assert refused(job.add, url, vault / 'loop' / 'a')
    assert refused(job.add, url, vault / 'file' / 'a')
    job.add(url, vault / 'to-own' / 'a')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'to-own' / 'a').read_bytes() == world.bytes(url)


# BUS-05
def test_directory_swapped_for_a_link_to_another_users_is_not_written(root_world):
    """Between AddFile and the transfer, and between the transfer and Complete."""
    world = root_world
    vault, foreign = world.vault(world.alice), world.vault(world.bob)
    (vault / 'd').mkdir()
    os.chown(vault / 'd', world.alice, world.alice)
    url = world.put(1000)
    early, late = world.manager().create(), world.manager().create()
    early.add(url, vault / 'd' / 'early')
    late.add(url, vault / 'd' / 'late')
    late.resume()
    late.wait('transferred')
    (vault / 'd').rename(vault / 'was')
    (vault / 'd').symlink_to(foreign)
    early.resume()
    early.wait('error')
    assert early.error().context == bus.CONTEXT_LOCAL_FILE
    refused(late.complete)
    assert os.listdir(foreign) == []


# BUS-06
@pytest.mark.parametrize('kind', ['directory', 'fifo', 'socket'])
def test_destination_that_is_no_file(world, kind):
    vault = world.vault()
    target = vault / 'a'
    if kind == 'directory':
        target.mkdir()
    elif kind == 'fifo':
        os.mkfifo(target)
    else:
        socket.socket(socket.AF_UNIX).bind(str(target))
    os.chown(target, world.alice, -1)
    job = world.manager().create()
    url = world.put(1000)
    try:
        job.add(url, target)
    except bus.BusError:
        return
    job.resume()
    if job.wait('transferred', 'error') == 'transferred':
        refused(job.complete)
    assert stat.S_IFMT(target.stat().st_mode) != stat.S_IFREG


# BUS-07
def test_words_and_keys_that_nobody_knows(world):
    manager = world.manager()
    assert refused(manager.create, 'a', 'sideways') in ('InvalidArgument', 'NotImplemented')
    assert refused(manager.create, 'a', '') in ('InvalidArgument', 'NotImplemented')
    assert refused(lambda: manager.create(Colour=('s', 'red'))) == 'InvalidArgument'
    assert refused(lambda: manager.create(Priority='urgent')) in ('InvalidArgument',
                                                                  'NotImplemented')
    assert refused(lambda: manager.create(Priority=('u', 1))) == 'InvalidArgument'
    assert refused(lambda: manager.create(Description=('ay', b'x'))) == 'InvalidArgument'
    assert refused(lambda: manager.list(State='asleep')) == 'InvalidArgument'
    assert refused(lambda: manager.list(State=('b', True))) == 'InvalidArgument'
    assert refused(lambda: manager.list(Colour=('s', 'red'))) == 'InvalidArgument'
    assert refused(lambda: manager.list(AllUsers=('s', 'yes'))) == 'InvalidArgument'
    job = manager.create()
    assert refused(job.set, 'Priority', 'urgent') in ('InvalidArgument', 'NotImplemented')
    assert refused(job.set, 'Priority', '') in ('InvalidArgument', 'NotImplemented')
    assert len(manager.list()) == 1


# BUS-08
def test_numbers_beyond_reason(world):
    job = world.manager().create()
    job.set('MinimumRetryDelay', 2 ** 32 - 1)
    job.set('NoProgressTimeout', 2 ** 32 - 1)
    assert job.get('MinimumRetryDelay') == 2 ** 32 - 1
    assert job.get('NoProgressTimeout') == 2 ** 32 - 1
    url = world.put(1000, status=500)
    job.add(url, world.vault() / 'a')
    job.resume()
    job.wait('transient-error', 'error')
    assert world.manager().call('GetErrorDescription', 'us', 0x80070057, 'C')
    assert refused(world.manager().call, 'GetErrorDescription', 'us', 0x12345678, '')


# BUS-09
def test_wrong_types(world):
    manager = world.manager()
    job = manager.create()
    calls = [(bus.ROOT, bus.MANAGER, 'CreateJob', 's', 'a'),
             (bus.ROOT, bus.MANAGER, 'CreateJob', ''),
             (bus.ROOT, bus.MANAGER, 'CreateJob', 'ssa{ss}', 'a', 'download', {'a': 'b'}),
             (bus.ROOT, bus.MANAGER, 'GetJob', 'u', 7), (bus.ROOT, bus.MANAGER, 'GetJob', 'o', '/'),
             (bus.ROOT, bus.MANAGER, 'ListJobs', 'as', ['a']),
             (bus.ROOT, bus.MANAGER, 'NoMethod', ''),
             (job.path, bus.JOB, 'AddFile', 's', 'a'),
             (job.path, bus.JOB, 'AddFile', 'sss', 'a', 'b', 'c'),
             (job.path, bus.JOB, 'AddFiles', 'as', ['a']), (job.path, bus.JOB, 'Resume', 's', 'a'),
             (job.path, bus.JOB, 'AddFiles', 'aav', [[('s', 'a')] * 100] * 100),
             (job.path, bus.TOKEN_OPTIONS, 'SetHelperToken', 'u', 0),
             (job.path, bus.TOKEN_OPTIONS, 'SetHelperTokenFlags', 't', 1),
             (job.path, bus.TOKEN_OPTIONS, 'SetHelperTokenFlags', 's', '1'),
             (bus.ROOT, bus.JOB, 'Resume', ''), (job.path, bus.MANAGER, 'ListJobs', 'a{sv}', {}),
             ('/', bus.MANAGER, 'ListJobs', 'a{sv}', {}),
             (bus.ROOT + '/job/xyz', bus.JOB, 'Resume', ''),
             (bus.ROOT + '/job', bus.JOB, 'Resume', ''),
             (bus.ROOT + '/job/' + '0' * 33, bus.JOB, 'Resume', '')]
    for call in calls:
        assert refused(manager.bus.call, *call) in (
            'InvalidArgs', 'UnknownMethod', 'UnknownObject', 'UnknownInterface', 'NotFound'), call
    for name, value in (('Priority', ('u', 1)), ('MinimumRetryDelay', ('s', '5')),
                        ('DisplayName', ('ay', b'x')), ('MinimumRetryDelay', ('i', -1))):
        assert refused(job.set, name, value[1], value[0]) in ('InvalidArgs', 'InvalidArgument',
                                                              'InvalidSignature')
    for name in ('State', 'Id', 'Owner', 'Progress', 'ErrorCount'):
        assert refused(job.set, name, 'x') == 'PropertyReadOnly'
    assert refused(job.set, 'NoSuchProperty', 'x') == 'UnknownProperty'
    assert refused(job.get, 'NoSuchProperty') == 'UnknownProperty'


# BUS-10
@pytest.mark.parametrize('identifier', ['', 'x', '0' * 32, '00000000-0000-0000-0000-000000000000',
                                        '{00000000-0000-0000-0000-000000000000}', '../job', '%s%n',
                                        'ffffffff-ffff-ffff-ffff-ffffffffffff\n', "' OR 1=1 --"])
def test_ids_of_no_job(world, identifier):
    world.manager().create()
    assert refused(world.manager().job, identifier) in ('NotFound', 'InvalidArgument')
    assert refused(world.manager().open, identifier) in ('NotFound', 'InvalidArgument')


# BUS-11
def test_calls_on_a_cancelled_job(world):
    job = world.manager().create('gone')
    job.add(world.put(10), world.vault() / 'a')
    job.cancel()
    for call in (job.resume, job.suspend, job.cancel, job.complete,
                 lambda: job.add('http://a/', '/tmp/a'),
                 lambda: job.add_all([]), lambda: job.set('DisplayName', 'x'),
                 lambda: job.set('Priority', 'high'), lambda: job.set_helper_flags(0),
                 job.clear_helper_token):
        assert refused(call) == 'InvalidState'
    assert job.get('DisplayName') == 'gone'
    assert job.state == 'cancelled'


# BUS-12
def test_names_that_are_odd_but_good(world):
    vault = world.vault()
    names = ['-rf', ' leading', 'trailing ', 'ümläut', 'emoji 🦀', "quote'\"`$(x)", '%2e%2e',
             'a' * 200,
             '...', '.hidden', '.x.bits-y', 'semi;colon', '\\back\\slash', '*?[a]']
    urls = [world.put(100 + n) for n, _ in enumerate(names)]
    job = world.manager().create("'; DROP TABLE jobs; --")
    job.add_all([(url, vault / name) for url, name in zip(urls, names)])
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    for url, name in zip(urls, names):
        assert (vault / name).read_bytes() == world.bytes(url)
    assert sorted(os.listdir(vault)) == sorted(names)
    assert job.get('DisplayName') == "'; DROP TABLE jobs; --"


def send_creations(manager, count):
    return [manager.bus.send(bus.ROOT, bus.MANAGER, 'CreateJob', 'ssa{sv}', 'many', 'download', {})
            for _ in range(count)]


# LIM-20
def test_ordinary_user_has_at_most_sixty_jobs_however_often_he_tries(root_world):
    world = root_world
    manager = world.manager(world.alice)
    created, errors = 0, set()
    for _ in range(100):       # 10,000 attempts, a hundred under way at a time
        for serial in send_creations(manager, 100):
            try:
                manager.bus.reply(serial)
                created += 1
            except bus.BusError as error:
                errors.add(error.short)
    assert created == 60
    assert errors == {'TooManyJobsPerUser'}
    assert len(manager.list()) == 60
    world.manager(world.bob).create()           # his own share is untouched
    manager.job(manager.list()[0]['Id']).cancel()
    manager.create()


# LIM-21
def test_root_may_have_ten_thousand_jobs(root_world):
    world = root_world
    manager = world.manager(0)
    for _ in range(100):
        for serial in send_creations(manager, 100):
            manager.bus.reply(serial)
    jobs = manager.list()
    assert len(jobs) == 10_000
    assert len({job['Id'] for job in jobs}) == 10_000
    for begin in range(0, len(jobs), 100):
        for serial in [manager.bus.send(job['Path'], bus.JOB, 'Cancel')
                       for job in jobs[begin:begin + 100]]:
            manager.bus.reply(serial)
    assert manager.list() == []


# LIM-22
def test_ordinary_user_has_at_most_two_hundred_files_in_a_job(root_world):
    world = root_world
    vault = world.vault()
    job = world.manager().create()
    url = world.put(10)
    pairs = [(url, vault / str(n)) for n in range(201)]
    assert refused(job.add_all, pairs) == 'TooManyFilesInJob'
    assert job.files() == []
    job.add_all(pairs[:200])
    assert refused(job.add, *pairs[200]) == 'TooManyFilesInJob'
    assert len(job.files()) == 200


# LIM-23
def test_names_have_a_length(world):
    manager = world.manager()
    job = manager.create('x' * 256, Description='y' * 1024)
    assert refused(lambda: manager.create('x' * 257)) in ('InvalidArgument', 'StringTooLong')
    assert refused(job.set, 'DisplayName', 'x' * 257) == 'StringTooLong'
    assert refused(job.set, 'Description', 'x' * 1025) == 'StringTooLong'
    job.set('DisplayName', 'ü' * 256)     # characters, not bytes
    assert job.get('DisplayName') == 'ü' * 256


# BUS-13
@pytest.mark.parametrize('phase', ['create', 'add', 'resume', 'complete', 'cancel', 'open', 'list',
                                   'wait'])
def test_client_that_leaves_in_the_middle_of(world, phase):
    vault = world.vault()
    urls = [world.put(10_000) for _ in range(50)]
    keeper = world.manager()

    def leave(job, path, interface, member, *arguments):
        connection = job.bus
        connection.send(path, interface, member, *arguments)
        connection.close()
    manager = bus.Manager(world.connect())
    job = manager.create('left')
    if phase == 'create':
        leave(job, bus.ROOT, bus.MANAGER, 'CreateJob', 'ssa{sv}', 'late', 'download', {})
    elif phase == 'list':
        leave(job, bus.ROOT, bus.MANAGER, 'ListJobs', 'a{sv}', {})
    elif phase == 'open':
        leave(job, bus.ROOT, bus.MANAGER, 'OpenJob', 's', job.id)
    elif phase == 'add':
        leave(job, job.path, bus.JOB, 'AddFiles', 'a(ss)',
              [(url, str(vault / str(n))) for n, url in enumerate(urls)])
    else:
        job.add_all([(url, vault / str(n)) for n, url in enumerate(urls)])
        if phase in ('complete', 'cancel'):
            job.resume()
            job.wait('transferred')
            leave(job, job.path, bus.JOB, phase.capitalize())
        elif phase == 'resume':
            leave(job, job.path, bus.JOB, 'Resume')
        else:
            job.resume()
            job.bus.close()
    if phase in ('complete', 'cancel'):
        bus.poll_until(lambda: job.id not in [j['Id'] for j in keeper.list()], 'the end of the job')
        assert len(os.listdir(vault)) == (50 if phase == 'complete' else 0)
        assert temporary_files(vault) == []
        return
    again = keeper.job(job.id)
    if phase == 'add':
        bus.poll_until(lambda: len(again.files()) in (0, 50), 'all files, or none')
    if phase in ('resume', 'wait'):
        again.wait('transferred')
        assert again.complete() == 0
        assert len(os.listdir(vault)) == 50


# BUS-14
def test_client_that_does_not_read_its_replies(world):
    """Its queue at the bus grows full; nobody else waits for it."""
    job = world.manager().create()
    for _ in range(50):
        world.manager().create('x' * 256)
    deaf = world.connect()
    deaf.sock.setblocking(False)
    try:
        for _ in range(3000):
            deaf.send(bus.ROOT, bus.MANAGER, 'ListJobs', 'a{sv}', {})
    except (BlockingIOError, bus.Disconnected):
        pass
    assert job.state == 'suspended'
    world.manager().create()


# BUS-15
def test_nonsense_on_the_brokers_public_socket(world):
    path = world.manager().get('TokenSocket')
    for data in (b'', b'x', os.urandom(5000), b'\0' * 100_000):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(bus.DEADLINE)
            sock.connect(path)
            try:
                sock.sendall(data)
                socket.send_fds(sock, [b'x'], [0, 1, 2])
                sock.recv(1)
            except (BrokenPipeError, ConnectionResetError, PermissionError):
                pass            # PermissionError: kernels since 6.16 refuse the descriptors (SEC-483)
    os.close(bus.capture_token(path))


# LIM-24
def test_tokens_of_one_user_are_bounded_and_come_back(root_world):
    world = root_world
    fds = []
    try:
        for _ in range(2000):
            fds.append(world.token(world.carol))
    except PermissionError:
        pass
    assert 16 <= len(fds) < 2000
    os.close(world.token(world.bob))      # others are not concerned
    for fd in fds:
        os.close(fd)

    def again():
        try:
            os.close(world.token(world.carol))
            return True
        except PermissionError:
            return False
    bus.poll_until(again, 'the room to come back')


# BUS-16
def test_managers_door_to_the_broker_is_closed_to_others(root_world):
    world = root_world
    door = os.path.join(world.playground.runtime, 'run', 'manager')

    def knock():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(bus.DEADLINE)
            try:
                sock.connect(door)
                return sock.recv(100)     # what is let in hears a greeting; the rest its end
            except OSError as error:
                return error.errno
    assert bus.run_as(world.alice, knock) in (13, b'')
    world.manager().create()


WORKERS_OF_STRAW = {
    'ends': 'raise SystemExit(0)',
    'is silent': 'sock.recv(100); time.sleep(1000)',
    'babbles': 'sock.send(os.urandom(1000)); time.sleep(1000)',
    'sends nothing but headers':
        '[sock.send(struct.pack("=HHI", n, 0, n)) for n in range(80)]; time.sleep(1000)',
    'announces descriptors that it does not send':
        'sock.send(struct.pack("=HHI", 0x10, 60, 0) + b"x" * 16); time.sleep(1000)',
    'sends descriptors that nobody asked for':
        'socket.send_fds(sock, [struct.pack("=HHI", 0x10, 2, 0)], [0, 1]); time.sleep(1000)',
    'speaks another version':
        'sock.send(struct.pack("=HHIIIII", 0x10, 0, 0, 999, 1, os.getuid(), 7)); time.sleep(1000)',
    'says hello and then babbles':
        'hello(); sock.recv(70000); sock.send(os.urandom(200)); time.sleep(1000)',
    'reports what nobody started':
        'hello(); sock.recv(70000); '
        '[sock.send(struct.pack("=HHIQQ", 0x33, 0, 0, n, 1 << 63)) for n in range(1000)]; '
        'time.sleep(1000)',
    'floods': 'hello()\nwhile True: sock.send(struct.pack("=HHIQQ", 0x33, 0, 0, 1, 1))',
}


@pytest.fixture(scope='module')
def straw_playground(nginx):
    """A playground of its own, because its bits-net is exchanged."""
    playground = new_playground(nginx)
    playground.start()
    yield playground
    playground.stop(check=False)


# ENG-28
@pytest.mark.parametrize('habit', WORKERS_OF_STRAW)
def test_worker_that(straw_playground, server, world, habit):
    """A bits-net that misbehaves costs its transfers, nothing else."""
    program = pathlib.Path(straw_playground.runtime, 'libexec', 'bits-net')
    real = program.read_bytes()
    straw = World(straw_playground, server)
    try:
        for name in ('bits-net', 'python3'):
            straw_playground.kill(name)
        before = straw.daemons()
        program.unlink()
        program.write_text(f'#!{playground_lib.PYTHON}\n'
                           'import os, socket, struct, time\n'
                           'sock = socket.socket(fileno=3)\n'
                           'def hello():\n'
                           '  sock.send(struct.pack("=HHI4I", 0x10, 0, 0, 1, 1, os.getuid(), 7))\n'
                           f'{WORKERS_OF_STRAW[habit]}\n')
        program.chmod(0o755)
        url = straw.put(1000)
        target = straw.vault() / 'a'
        job = straw.start(url, target)
        if habit in ('is silent', 'speaks another version'):
            # Only patience tells a silent worker from a slow one; the service must live with it.
            job.wait_until(lambda: job.state in ('connecting', 'transient-error', 'error'))
        else:
            job.wait('transient-error')
        assert straw.daemons() == before
        program.unlink()
        program.write_bytes(real)
        program.chmod(0o755)
        straw_playground.kill('bits-net')
        job.suspend()
        job.resume()
        for _ in range(5):
            if job.wait('transferred', 'transient-error') == 'transferred':
                break
            job.resume()
        assert job.complete() == 0
        assert target.read_bytes() == straw.bytes(url)
        assert straw.daemons() == before
    finally:
        program.unlink(missing_ok=True)
        program.write_bytes(real)
        program.chmod(0o755)
        straw.close()
