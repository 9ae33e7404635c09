"""A call that cannot be stored has changed nothing and nobody has seen it: every kind of call, on a
disk that is really full.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

import bus
import conftest
from stores import ALICE, Service, fill, tmpfs
from test_notify import sealed

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROPERTIES = 'org.freedesktop.DBus.Properties'
pytestmark = pytest.mark.skipif(not conftest.ROOT, reason='needs root: mounts, several identities')

# ---- what is seen of a job ----


def everything(job):
    """All that its owner can read of it."""
    seen = {}
    for interface in (bus.JOB, bus.HTTP_OPTIONS, bus.TOKEN_OPTIONS):
        seen.update(job.bus.call(job.path, PROPERTIES, 'GetAll', 's', interface))
    seen['NextAttempt'] = seen['NextAttempt'][1] != 0     # two clocks: not to the µs
    seen['WaitReason'] = re.sub(r'\d+ s$', 'a while', seen['WaitReason'][1])
    for number, file in enumerate(job.files()):
        seen[f'file {number}'] = file, job.bus.call(f'{job.path}/file/{number}', PROPERTIES, 'GetAll', 's', bus.FILE)
    for member, interface in [('GetProxySettings', bus.JOB), ('GetNotifyCmdLine', bus.JOB),
                              ('GetReplyFileName', bus.JOB), ('GetError', bus.JOB),
                              ('GetClientCertificate', bus.HTTP_OPTIONS),
                              ('GetCustomHeaders', bus.HTTP_OPTIONS), ('GetHelperTokenFlags', bus.TOKEN_OPTIONS),
                              ('GetHelperTokenSid', bus.TOKEN_OPTIONS)]:
        try:
            seen[member] = job.call(member, interface=interface)
        except bus.BusError as error:
            seen[member] = error.short
    return seen


def rows(service):
    """What is stored of each job; secrets are sealed anew with each change."""
    with conftest.World.database(service) as database:
        files = database.execute('SELECT * FROM files ORDER BY job, number').fetchall()
        return {identifier: (row, [file for file in files if file[1] == row[0]])
                for identifier, *row in database.execute('SELECT id, * FROM jobs')}


def after_restart(seen):
    """Tokens end with the service, and what is said of them."""
    return {key: value for key, value in seen.items() if key != 'GetHelperTokenSid' and not key.startswith('Wait')}


def expect_same(name, now, before):
    changed = {key: (before.get(key), now.get(key)) for key in {*before, *now} if before.get(key) != now.get(key)}
    assert not changed, (name, changed)


# ---- the calls ----

SETTINGS = {
    bus.JOB: {
        'DisplayName': ('s', 'another'), 'Description': ('s', 'another'), 'Priority': ('s', 'high'),
        'MinimumRetryDelay': ('u', 1234), 'MaximumDownloadTime': ('u', 1234), 'NoProgressTimeout': ('u', 1234),
        'UseStoredCredentials': ('s', 'proxy'), 'CredentialCache': ('s', 'FILE:/tmp/another'), 'NotifyFlags': ('u', 9),
        'MinimumNotificationInterval': ('u', 1234), 'FileACLFlags': ('u', 3), 'DynamicContent': ('b', True),
        'HighPerformance': ('b', True), 'OnDemandMode': ('b', True), 'MaxDownloadSize': ('t', 1 << 40),
        'PeerCachingFlags': ('u', 1), 'CostFlags': ('u', 0x3)},
    bus.HTTP_OPTIONS: {'HttpMethod': ('s', 'POST'), 'SecurityFlags': ('u', 2)},
    bus.TOKEN_OPTIONS: {'HelperCredentialCache': ('s', 'FILE:/tmp/another')},
}


# DUR-390
def test_every_property_is_tried():
    for name in ('Job', 'HttpOptions', 'TokenOptions'):
        text = (ROOT / 'data' / f'org.openbits.BITS1.{name}.xml').read_text()
        writable = set(re.findall(r'<property name="(\w+)" type="\w+" access="readwrite">', text))
        assert writable - {'NotificationClsid'} == set(SETTINGS[f'org.openbits.BITS1.{name}']), name


class Bench:
    """A service on a small disk of its own, and the jobs that the calls are tried on."""

    def __init__(self, service):
        self.service = service
        self.vault = service.folder / 'vault'
        self.vault.mkdir(0o700)
        self.filler = service.state.parent / 'filler'
        self.managers = {}

    def manager(self, uid=0):
        return self.managers[uid]

    def connect(self):
        self.managers = {uid: self.service.manager(uid) for uid in (0, ALICE)}
        socket = self.managers[0].get('TokenSocket')
        for uid in (0, ALICE):
            with bus.impersonate(uid):
                os.close(bus.capture_token(socket))

    def restart(self):
        self.service.restart()
        self.connect()

    def again(self, job):
        """The same job over the connections of now."""
        return self.job_of(job.uid, job.id)

    def job_of(self, uid, identifier):
        job = self.manager(uid).job(identifier)
        job.uid = uid
        return job

    @staticmethod
    def quiet(manager):
        """Waits for the news of all that happened before: the signals of one job keep a distance."""
        marker = manager.create('marker')
        mark = len(manager.bus.signals)
        marker.set('Description', 'first')
        marker.set('Description', 'second')
        for _ in range(2):
            manager.bus.wait_signal(lambda s: s.path == marker.path, mark)
            mark = max(n for n, s in enumerate(manager.bus.signals) if s.path == marker.path) + 1

    @staticmethod
    def arrived(manager):
        """The number of signals that have come until now."""
        manager.list()
        manager.bus.drain()
        return len(manager.bus.signals)

    def token(self):
        with bus.impersonate(ALICE):
            return bus.capture_token(self.manager().get('TokenSocket'))

    def job(self, job_type='download', uid=0):
        job = self.manager(uid).create('a job', job_type)
        job.uid = uid
        return job

    def with_file(self, content=b'content ' * 1000, host=None):
        job = self.job()
        url = self.service.nginx.publish('f', content)
        job.add(url if not host else host + '/f', self.vault / f'file of {job.id}')
        return job

    def transferred(self):
        job = self.with_file()
        job.resume()
        job.wait('transferred')
        return job

    def failing(self):
        job = self.with_file(host='http://127.0.0.1:9')
        job.resume()
        job.wait('transient-error')
        return job

    def prepared(self, prepare, *arguments, **kinds):
        job = self.with_file()
        prepare(job, *arguments, **kinds)
        return job


def cases(bench):
    """By name: the job, and the call."""
    certificate = bench.service.nginx.server.work
    alice_job = bench.job(uid=ALICE)
    source = bench.vault / 'source'
    source.write_bytes(b'x' * 1000)
    for interface, settings in SETTINGS.items():
        for name, value in settings.items():
            yield name, bench.job(), lambda job, i=interface, n=name, v=value: job.bus.call(
                job.path, PROPERTIES, 'Set', 'ssv', i, n, v)
    yield 'AddFile', bench.with_file(), lambda job: job.add('http://127.0.0.1:9/g', bench.vault / 'g')
    yield 'AddFile to an upload', bench.job('upload-reply'), lambda job: job.add(
        'http://127.0.0.1:9/g', source)
    yield 'AddFiles', bench.with_file(), lambda job: job.add_all(
        [(f'http://127.0.0.1:9/{n}', bench.vault / f'{n}') for n in range(20)])
    yield 'AddFileWithRanges', bench.with_file(), lambda job: job.add_ranges(
        'http://127.0.0.1:9/h', bench.vault / 'h', [(0, 10), (100, 10)])
    yield 'ReplaceRemotePrefix', bench.with_file(), lambda job: job.call(
        'ReplaceRemotePrefix', 'ss', 'http://', 'https://')
    yield 'Resume', bench.with_file(), lambda job: job.resume()
    yield 'Resume of a failed one', bench.failing(), lambda job: job.resume()
    yield 'Suspend', bench.failing(), lambda job: job.suspend()
    yield 'SetCredentials', bench.with_file(), lambda job: job.call(
        'SetCredentials', 'ssbss', 'server', 'basic', False, 'user', 'secret')
    yield 'RemoveCredentials', bench.prepared(lambda job: job.call(
        'SetCredentials', 'ssbss', 'server', 'basic', False, 'user', 'secret')), lambda job: job.call(
            'RemoveCredentials', 'ss', 'server', 'basic')
    yield 'SetProxySettings', bench.with_file(), lambda job: job.call(
        'SetProxySettings', 'sss', 'override', 'http://proxy:1', 'host')
    yield 'SetNotifyCmdLine', bench.with_file(), lambda job: job.call(
        'SetNotifyCmdLine', 'ss', '/bin/true', 'true')
    yield 'SetNotifyCmdLine to none', bench.prepared(lambda job: job.call(
        'SetNotifyCmdLine', 'ss', '/bin/true', 'true')), lambda job: job.call('SetNotifyCmdLine', 'ss', '', '')
    yield 'SetSealedNotifyCmdLine', alice_job, lambda job: job.call(
        'SetSealedNotifyCmdLine', 'h', sealed(job.id, '/bin/true', uid=ALICE))
    yield 'AcknowledgeEvent', bench.transferred(), lambda job: job.call('AcknowledgeEvent', 's', 'transferred')
    yield 'SetReplyFileName', bench.job('upload-reply'), lambda job: job.set_reply_file_name(bench.vault / 'reply')
    yield 'SetHelperToken', bench.with_file(), lambda job: job.set_helper_token(bench.token())
    yield 'ClearHelperToken', bench.prepared(lambda job: job.set_helper_token(bench.token())), \
        lambda job: job.clear_helper_token()
    yield 'SetHelperTokenFlags', bench.prepared(lambda job: job.set_helper_token(bench.token())), \
        lambda job: job.set_helper_flags(2)
    yield 'TakeOwnership', bench.job_of(0, bench.job(uid=ALICE).id), \
        lambda job: job.take_ownership()
    yield 'SetRemoteName', bench.with_file(), lambda job: job.file().call(
        'SetRemoteName', 's', 'http://127.0.0.1:9/other')
    yield 'RequestFileRanges', bench.with_file(), lambda job: job.file().request((100, 10))
    yield 'SetValidationState', bench.transferred(), lambda job: job.file().call('SetValidationState', 'b', True)
    yield 'SetValidationState to false', bench.transferred(), lambda job: job.file().call(
        'SetValidationState', 'b', False)
    yield 'SetClientCertificate', bench.with_file(), lambda job: job.call(
        'SetClientCertificate', 'sss', f'{certificate}/server.pem', f'{certificate}/server.key', 'secret',
        interface=bus.HTTP_OPTIONS)
    yield 'RemoveClientCertificate', bench.prepared(lambda job: job.call(
        'SetClientCertificate', 'sss', 'none', '', '', interface=bus.HTTP_OPTIONS)), lambda job: job.call(
            'RemoveClientCertificate', interface=bus.HTTP_OPTIONS)
    yield 'SetCustomHeaders', bench.with_file(), lambda job: job.call(
        'SetCustomHeaders', 's', 'X-One: 1', interface=bus.HTTP_OPTIONS)
    yield 'MakeCustomHeadersWriteOnly', bench.with_file(), lambda job: job.call(
        'MakeCustomHeadersWriteOnly', interface=bus.HTTP_OPTIONS)
    yield 'SetServerCertificateValidation', bench.with_file(), lambda job: job.call(
        'SetServerCertificateValidation', 'b', True, interface=bus.HTTP_OPTIONS)
    yield 'Complete', bench.transferred(), lambda job: job.complete()
    yield 'Complete of a part', bench.with_file(), lambda job: job.complete()
    yield 'Cancel', bench.failing(), lambda job: job.cancel()


MOVES = {'Resume', 'Resume of a failed one', 'Suspend'}
ENDS = {'Complete', 'Complete of a part', 'Cancel'}


@pytest.fixture
def bench(nginx):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-refused-'))
    folder.chmod(0o755)
    service = Service(nginx, folder)
    service.base = folder
    with tmpfs(service.state.parent, '6m'):
        service.state.mkdir()
        service.start()
        bench = Bench(service)
        bench.connect()
        yield bench
        service.stop()
    shutil.rmtree(folder, ignore_errors=True)


def expect_refused(name, call, *arguments):
    try:
        call(*arguments)
    except bus.BusError as error:
        assert error.short == 'DiskFull' and 'free space for the job store' in error.text, (name, error)
    else:
        pytest.fail(f'{name} was not refused')


def check_moved(jobs):
    jobs['Resume'].wait('transferred')
    assert jobs['Suspend'].state == 'suspended'
    assert jobs['Resume of a failed one'].state != 'suspended'


# DUR-390, DUR-391, BUS-14
def test_refused_calls_have_changed_nothing(bench):
    service = bench.service
    calls = list(cases(bench))
    for manager in bench.managers.values():
        manager.call('Subscribe')
    seen = {name: everything(job) for name, job, _ in calls}
    stored = rows(service)
    bench.quiet(bench.manager(ALICE))
    bench.quiet(bench.manager())
    marks = {manager: bench.arrived(manager) for manager in bench.managers.values()}
    files = sorted(os.listdir(bench.vault))
    fill(bench.filler)

    for name, job, call in calls:
        expect_refused(name, call, job)
        expect_same(name, everything(job), seen[name])
    expect_refused('CreateJob', bench.job)
    for manager, mark in marks.items():
        bench.arrived(manager)
        assert manager.bus.signals[mark:] == []
    assert sorted(os.listdir(bench.vault)) == files
    assert list((service.state.parent / 'openbits-broker' / 'commands').iterdir()) == []
    now = rows(service)
    for name, job, _ in calls:
        assert now[job.id] == stored[job.id], name

    bench.restart()
    for name, job, _ in calls:
        expect_same(name, after_restart(everything(bench.again(job))), after_restart(seen[name]))
    expect_refused('CreateJob', bench.job)

    bench.filler.unlink()
    assert bench.job().id
    for name, job, _ in calls:
        expect_same(name, after_restart(everything(bench.again(job))), after_restart(seen[name]))
    for name, job, call in calls:
        call(bench.again(job))
    now = rows(service)
    for name, job, _ in calls:
        assert now.get(job.id) != stored[job.id], name
    check_moved({name: bench.again(job) for name, job, _ in calls if name in MOVES})
    seen = {name: everything(bench.again(job)) for name, job, _ in calls if name not in ENDS | MOVES}
    bench.restart()
    there = {entry['Id'] for entry in bench.manager().list(AllUsers=True)}
    for name, job, _ in calls:
        if name in ENDS:
            assert job.id not in there
        elif name not in MOVES:
            expect_same(name, after_restart(everything(bench.again(job))), after_restart(seen[name]))
    check_moved({name: bench.again(job) for name, job, _ in calls if name in MOVES})


# DUR-390, DUR-392
def test_transfers_go_on_while_calls_are_refused(bench, server):
    """Their progress is not lost either; who waits for a promise gets it when there is room."""
    size = 8 << 20
    server.put('/slow', size, stall_after=3 << 20)
    job = bench.job()
    job.add(server.url('/slow'), bench.vault / 'slow')
    job.resume()
    server.wait_stalled('/slow')
    job.wait_until(lambda: job.progress.transferred == 3 << 20, '3 MiB')
    fill(bench.filler)
    for name, call in [('Suspend', job.suspend), ('Cancel', job.cancel), ('Complete', job.complete),
                       ('Priority', lambda: job.set('Priority', 'foreground')),
                       ('AddFile', lambda: job.add(server.url('/slow'), bench.vault / 'more')),
                       ('SetRemoteName', lambda: job.file().call('SetRemoteName', 's', 'http://127.0.0.1:9/'))]:
        expect_refused(name, call)
        assert (job.state, job.progress.transferred, job.progress.files_total) == ('transferring', 3 << 20, 1), name
    mark = len(job.bus.signals)
    server.release('/slow')
    job.wait_until(lambda: job.progress.transferred == size, 'the rest')
    expect_refused('Complete', job.complete)
    assert not [s for s in job.bus.signals[mark:] if s.member == 'JobTransferred']
    assert len(server.seen('/slow')) == 1, 'it was interrupted'
    bench.filler.unlink()
    job.bus.wait_signal(lambda s: s.path == job.path and s.member == 'JobTransferred', mark)
    log = bench.service.log()
    assert log.count('cannot write the job store') == log.count('the job store can be written again') == 1
    bench.restart()
    job = bench.again(job)
    assert job.state == 'transferred' and job.complete() == 0
    assert (bench.vault / 'slow').read_bytes() == server.resources['/slow'].bytes()


def pending(service, job):
    with conftest.World.database(service) as database:
        return database.execute('SELECT pending FROM jobs WHERE id = ?', (job.id,)).fetchone()[0]


# DUR-393
def test_a_complete_that_can_no_longer_be_undone_ends_when_there_is_room(bench):
    """Its files have their names, and only then the disk is full: the caller waits, nothing is lost, and a
    service that dies meanwhile goes on."""
    job = bench.transferred()
    path = pathlib.Path(job.files()[0].local_name)
    workers = bench.service.playground.pids('bits-file')
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    call = job.bus.send(job.path, bus.JOB, 'Complete')
    bus.poll_until(lambda: pending(bench.service, job) == 1, 'the intention to be stored')
    fill(bench.filler)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    bus.poll_until(path.exists, 'the file to have its name')
    bench.manager(ALICE).list()
    assert path.read_bytes() == b'content ' * 1000
    expect_refused('CreateJob', bench.job)
    bench.restart()
    with pytest.raises(bus.BusError) as caught:
        job.bus.reply(call)
    assert caught.value.short == 'NoReply'
    assert path.read_bytes() == b'content ' * 1000 and pending(bench.service, job) == 1
    bench.filler.unlink()
    bus.poll_until(lambda: job.id not in rows(bench.service), 'the job to leave the store')
    bench.restart()
    assert job.id not in {entry['Id'] for entry in bench.manager().list()}
    assert path.read_bytes() == b'content ' * 1000
