"""What programs written for BITS rely on: defaults, results of calls in each state, snapshots, who sees
what, and how a job ends when a server fails. Through the bus and through the library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import socket

import pytest

import bus
from bus import BusError

CALLS = ('Resume', 'Suspend', 'Cancel', 'Complete')
INVALID, EMPTY = 'InvalidState', 'Empty'


def answer(job, member):
    """The name of the error, or None."""
    try:
        job.call(member)
    except BusError as error:
        return error.name.rsplit('.', 1)[1]
    return None


# ---- defaults

def properties(thing, interface):
    found = thing.bus.call(thing.path, bus.PROPERTIES, 'GetAll', 's', interface)
    return {key: value for key, (_, value) in found.items()}


def test_defaults_of_a_new_job(world):
    """JOB-302: every property of a job that was only made."""
    job = world.manager().create('a name')
    found = job.get_all()
    wanted = {
        'Type': 'download', 'State': 'suspended', 'Priority': 'normal', 'DisplayName': 'a name', 'Description': '',
        'MinimumRetryDelay': 600, 'NoProgressTimeout': 1209600, 'NotifyFlags': 3, 'ErrorCount': 0,
        'Progress': (0, 0, 0, 0), 'MaximumDownloadTime': 7776000, 'MinimumNotificationInterval': 500,
        'NotificationClsid': '00000000-0000-0000-0000-000000000000', 'FileACLFlags': 0, 'PeerCachingFlags': 0,
        'DynamicContent': False, 'HighPerformance': False, 'OnDemandMode': False, 'MaxDownloadSize': 2**64 - 1,
        'CostFlags': 0x800000ff, 'UseStoredCredentials': 'none', 'CredentialCache': '', 'ErrorTime': 0,
        'NextAttempt': 0, 'WaitReason': '', 'WaitingFor': '',
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert found.keys() - wanted.keys() == {    # these differ from job to job
        'Id', 'Owner', 'OwnerUid', 'OwnerElevated', 'OwnerIntegrityLevel', 'Times', 'NotifyCmdLineState'}
    assert job.call('GetNotifyCmdLine') == ('', '')
    assert found['Times'][2] == 0 and found['Times'][0] == found['Times'][1]
    assert job.call('GetProxySettings') == ('preconfig', '', '')
    with pytest.raises(BusError, match='ErrorInformationUnavailable'):
        job.call('GetError')
    assert job.files() == []


def test_defaults_of_http_options_and_files(world):
    """JOB-302"""
    job = world.manager().create('job')
    assert properties(job, bus.HTTP_OPTIONS) == {'HttpMethod': 'GET', 'SecurityFlags': 0}
    assert job.call('GetCustomHeaders', interface=bus.HTTP_OPTIONS) == ''
    url, vault = world.put(10), world.vault()
    job.add(url, vault / 'file')
    found = properties(job.file(0), bus.FILE)
    assert found.pop('TemporaryName').startswith(f'{vault}/')
    assert found == {'RemoteName': url, 'LocalName': f'{vault}/file', 'ResponseHeaders': '',
                     'Progress': (2**64 - 1, 0, False), 'ValidationState': False, 'DownloadedFromPeer': False}
    assert job.file(0).call('GetFileRanges') == []
    assert job.file(0).call('GetPeerDownloadStats') == (0, 0)


# ---- calls in each state

def in_state(world, state):
    """A job in that state, and what lets go of it."""
    vault = world.vault()
    if state == 'suspended':
        job = world.manager().create('job')
        job.add(world.put(10), vault / 'file')
    elif state == 'queued':     # behind another one of its priority
        first = world.start(world.put(100_000, stall_after=10), vault / 'first')
        first.wait('transferring')
        job = world.start(world.put(10), vault / 'file')
    elif state == 'connecting':
        url = world.put(100, stall_after=-1)
        job = world.start(url, vault / 'file')
    elif state == 'transferring':
        job = world.start(world.put(100_000, stall_after=10), vault / 'file')
    elif state == 'transient-error':
        job = world.start(world.put(10, status=503), vault / 'file')
    elif state == 'error':
        job = world.start(world.put(10, status=404), vault / 'file')
    elif state == 'cancelled':
        job = world.manager().create('job')
        job.cancel()
        return job
    else:
        job = world.start(world.put(10), vault / 'file')
        job.wait('transferred')
        if state == 'acknowledged':
            job.complete()
        return job
    job.wait(state)
    return job


EXPECTED = {    # state: (Resume, Suspend, Cancel, Complete) and the state after each
    'suspended': ((None, None, None, None), ('queued', 'suspended', 'cancelled', 'acknowledged')),
    'queued': ((None, None, None, None), ('queued', 'suspended', 'cancelled', 'acknowledged')),
    'transferring': ((None, None, None, None), ('transferring', 'suspended', 'cancelled', 'acknowledged')),
    'transient-error': ((None, None, None, None), (None, 'suspended', 'cancelled', 'acknowledged')),
    'error': ((None, None, None, None), (None, 'suspended', 'cancelled', 'acknowledged')),
    'transferred': ((None, None, None, None), ('transferred', 'transferred', 'cancelled', 'acknowledged')),
    'acknowledged': ((INVALID,) * 4, ('acknowledged',) * 4),
    'cancelled': ((INVALID,) * 4, ('cancelled',) * 4),
}


@pytest.mark.parametrize('state', EXPECTED)
@pytest.mark.parametrize('call', CALLS)
def test_call_in_state(world, state, call):
    """JOB-300: through the bus, what each call answers in each state and where it leads."""
    answers, ends = EXPECTED[state]
    number = CALLS.index(call)
    job = in_state(world, state)
    assert answer(job, call) == answers[number]
    if state == 'suspended' and call == 'Resume':
        job.wait('transferred')
    elif ends[number]:
        assert job.state == ends[number]


SETTERS = {     # name: (value, signature)
    'FileACLFlags': (1, 'u'), 'HighPerformance': (True, 'b'), 'DynamicContent': (True, 'b'),
    'MaxDownloadSize': (1 << 20, 't'), 'OnDemandMode': (False, 'b'), 'PeerCachingFlags': (1, 'u'),
    'MaximumDownloadTime': (9000, 'u'), 'CostFlags': (0x800000ff, 'u'), 'UseStoredCredentials': ('proxy', 's'),
    'MinimumNotificationInterval': (7, 'u'), 'NotificationClsid': ('00000000-0000-0000-0000-000000000000', 's')}
LATE = {'DynamicContent': 'ReadOnlyPropertyAfterResume', 'MaxDownloadSize': 'ReadOnlyPropertyAfterResume',
        'HighPerformance': 'ReadOnlyPropertyAfterAddfile'}


@pytest.mark.parametrize('state', EXPECTED)
def test_setters_in_state(world, state):
    """JOB-330: which properties can still be set, and the code of those that cannot."""
    job = in_state(world, state)
    final = state in ('acknowledged', 'cancelled')

    def outcome(call, *arguments, **options):
        try:
            call(*arguments, **options)
        except BusError as error:
            return error.name.rsplit('.', 1)[1]
        return None
    found = {name: outcome(job.set, name, *value) for name, value in SETTERS.items()}
    wanted = dict.fromkeys(SETTERS)
    if final:
        wanted = dict.fromkeys(SETTERS, INVALID)
    else:
        wanted['HighPerformance'] = LATE['HighPerformance']
        if state == 'transferred':
            wanted['FileACLFlags'] = INVALID
        if state != 'suspended':
            wanted |= LATE
    assert found == wanted
    http = bus.HTTP_OPTIONS
    assert outcome(job.call, 'SetCustomHeaders', 's', 'A: b', interface=http) == (INVALID if final else None)
    assert outcome(job.call, 'SetNotifyCmdLine', 'ss', '', '') == (INVALID if final else None)
    assert outcome(job.call, 'SetReplyFileName', 's', '') == 'NotImplemented'
    assert outcome(job.call, 'GetReplyData') == 'NotImplemented'
    assert outcome(job.call, 'GetReplyProgress') == 'NotImplemented'
    assert outcome(job.call, 'ReplaceRemotePrefix', 'ss', 'x', 'y') == (INVALID if final else None)
    assert outcome(job.error) == (None if 'error' in state else 'ErrorInformationUnavailable')
    if state != 'cancelled':
        validated = INVALID if final else None if state == 'transferred' else 'Pending'
        assert outcome(job.file(0).call, 'SetValidationState', 'b', True) == validated


@pytest.mark.parametrize('job_type', ['upload', 'upload-reply'])
def test_uploads_lack_what_is_of_downloads(world, job_type):
    """JOB-331: one file, no Complete before the end, no properties of downloads."""
    job, vault = world.manager().create('job', job_type), world.vault()
    for name in ('DynamicContent', 'HighPerformance', 'OnDemandMode', 'MaxDownloadSize'):
        with pytest.raises(BusError, match='PropertySupportedForDownloadJobsOnly'):
            job.set(name, *SETTERS[name])
    for name in 'one', 'two':
        path = vault / name
        path.write_bytes(b'content')
        os.chmod(path, 0o644)
    job.add('http://localhost/one', vault / 'one')
    with pytest.raises(BusError, match='TooManyFiles'):
        job.add('http://localhost/two', vault / 'two')
    with pytest.raises(BusError, match='NotImplemented'):
        job.add_ranges('http://localhost/two', vault / 'two', [(0, 1)])
    with pytest.raises(BusError, match='NotImplemented'):
        job.call('ReplaceRemotePrefix', 'ss', 'http', 'https')
    with pytest.raises(BusError, match='NotImplemented'):
        job.file(0).call('SetRemoteName', 's', 'http://localhost/three')
    assert answer(job, 'Complete') == INVALID and job.state == 'suspended'
    if job_type == 'upload':
        assert answer(job, 'GetReplyFileName') == 'NotImplemented'
    else:
        assert job.reply_file_name().startswith(f'{vault}/') and job.reply_progress() == (2**64 - 1, 0)
        assert answer(job, 'GetReplyData') == INVALID


def test_resume_without_files(world):
    """JOB-300: BG_E_EMPTY, and the job stays as it is."""
    job = world.manager().create('job')
    assert answer(job, 'Resume') == EMPTY
    assert job.state == 'suspended'


@pytest.mark.parametrize('name, value', [
    ('DisplayName', 'x'), ('Description', 'x'), ('Priority', 'high'), ('MinimumRetryDelay', 7),
    ('NoProgressTimeout', 7), ('NotifyFlags', 1)])
def test_setters_after_the_end(world, name, value):
    """JOB-57: what is over can be read, not changed."""
    job = in_state(world, 'acknowledged')
    before = job.get(name)
    with pytest.raises(BusError, match=INVALID):
        job.set(name, value)
    assert job.get(name) == before


def test_what_is_over_can_be_read(world):
    """JOB-410: as before the end, through whoever holds the job; receivers are neither set nor removed."""
    job = world.start(world.put(10), world.vault() / 'file')
    job.call('SetCustomHeaders', 's', 'A: b\r\n', interface=bus.HTTP_OPTIONS)
    job.wait('transferred')
    handle = bus.Job(world.handle(world.manager().open(job.id)), job.path, job.id)
    before = {key: value for key, value in job.get_all().items() if key not in ('State', 'Times')}
    times = job.get('Times')
    job.complete()
    for one in job, handle:
        after = one.get_all()
        assert after.pop('State') == 'acknowledged' and before.items() <= after.items()
        assert after['Times'][0] == times[0] and after['Times'][2] == times[2]
        entry, = one.files()
        assert (entry.total, entry.transferred, entry.completed) == (10, 10, True)
        assert one.progress == (10, 10, 1, 1) and one.file(0).progress == (10, 10, True)
        assert one.call('GetCustomHeaders', interface=bus.HTTP_OPTIONS) == 'A: b\r\n'
        assert one.call('GetProxySettings') == ('preconfig', '', '')
        assert answer(one, 'GetError') == 'ErrorInformationUnavailable'
        assert [answer(one, call) for call in ('Subscribe', 'Unsubscribe')] == [INVALID] * 2
    assert world.manager().list() == []
    with pytest.raises(BusError, match='NotFound'):     # nobody gets it any more
        world.manager().open(job.id)


# ---- snapshots

def test_lists_are_snapshots(world):
    """BUS-300: a list does not change with what it lists; one made later does."""
    manager = world.manager()
    job = manager.create('one')
    before = manager.list()
    manager.create('two')
    job.set('DisplayName', 'changed')
    assert [entry['DisplayName'] for entry in before] == ['one']
    assert {entry['DisplayName'] for entry in manager.list()} == {'changed', 'two'}
    files = job.files()
    job.add(world.put(1), world.vault() / 'file')
    assert files == [] and len(job.files()) == 1


# ---- who sees what

def test_visible_to_other_connections_of_the_user(world):
    """BUS-301: a job is its user's, not its process's; it outlives the connection that made it."""
    manager = bus.Manager(world.connect())
    identifier = manager.create('mine').id
    manager.bus.close()
    other = bus.Manager(world.connect()).job(identifier)
    assert other.get('DisplayName') == 'mine'
    other.set('Description', 'by another process')
    assert world.manager().job(identifier).get('Description') == 'by another process'


# ---- ends

@pytest.mark.parametrize('status, state, code', [
    (404, 'error', 0x80190194), (410, 'error', 0x8019019a), (403, 'error', 0x80190193), (401, 'error', 0x80190191),
    (500, 'transient-error', 0x801901f4), (503, 'transient-error', 0x801901f7), (501, 'error', 0x801901f5),
    (505, 'error', 0x801901f9), (408, 'transient-error', 0x80190198), (409, 'transient-error', 0x80190199)])
def test_state_after_a_status(world, status, state, code):
    """JOB-301: context remote file, the status in the code; retried only where that may help."""
    job = world.start(world.put(10, status=status), world.vault() / 'file')
    job.wait(state)
    context, found, text, url, path = job.error()
    assert (context, found) == (5, code) and text and url and path
    assert job.get('ErrorCount') == 1


def test_state_after_a_name_that_does_not_exist(world):
    """JOB-301: ERROR_WINHTTP_NAME_NOT_RESOLVED, transient."""
    job = world.start('http://no-such-host.invalid/file', world.vault() / 'file')
    job.wait('transient-error')
    assert job.error()[:2] == (5, 0x80072ee7)


def test_state_after_a_refused_connection(world):
    """JOB-301: ERROR_WINHTTP_CANNOT_CONNECT, transient."""
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        job = world.start(f'http://127.0.0.1:{closed.getsockname()[1]}/x', world.vault() / 'file')
        job.wait('transient-error')
    assert job.error()[1] == 0x80072efd


def test_protocol_of_an_error(world):
    """JOB-411"""
    vault = world.vault()
    job = world.manager().create()
    job.add('file:///nonexistent/file', vault / 'one')
    assert answer(job, 'GetErrorProtocol') == 'ErrorInformationUnavailable'
    job.resume()
    job.wait('error')
    assert job.call('GetErrorProtocol') == 'file'
    job = world.start(world.put(10, status=404), vault / 'two')
    job.wait('error')
    assert job.call('GetErrorProtocol') == 'http'
    folder = world.vault()      # that is gone when the file is to be made
    job = world.manager().create()
    job.add(world.put(10), folder / 'three')
    folder.rmdir()
    job.resume()
    job.wait('error')
    assert job.error()[0] == 4 and answer(job, 'GetErrorProtocol') == 'ProtocolNotAvailable'
