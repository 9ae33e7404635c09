"""What programs written for BITS rely on: defaults, results of calls in each state, snapshots, who sees
what, and how a job ends when a server fails. Through the bus and through the library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import socket

import pytest

import bus
from bus import BusError
from test_library import SUSPENDED, as_alice, bits, opened  # noqa: F401

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


def test_properties_by_number(world):
    """JOB-413: the same as by name."""
    job = world.manager().create()
    names = {1: 'CostFlags', 2: 'NotificationClsid', 3: 'DynamicContent', 4: 'HighPerformance', 5: 'MaxDownloadSize',
             7: 'UseStoredCredentials', 9: 'MinimumNotificationInterval', 10: 'OnDemandMode'}
    for number in range(12):
        if number in names:
            signature, value = job.call('GetProperty', 'u', number)
            assert value == job.get(names[number])
            wanted = SETTERS[names[number]][0]
            job.call('SetProperty', 'uv', number, (signature, wanted))
            assert job.get(names[number]) == wanted and job.call('GetProperty', 'u', number)[1] == wanted
            if wanted is True:
                job.set(names[number], False, 'b')
            with pytest.raises(BusError, match='InvalidArgument'):
                job.call('SetProperty', 'uv', number, ('x', 1))
        else:
            for call in ('GetProperty', 'u', number), ('SetProperty', 'uv', number, ('u', 1)):
                with pytest.raises(BusError, match='UnknownPropertyId'):
                    job.call(*call)
    with pytest.raises(BusError, match='MaxDownloadSizeInvalidValue'):
        job.call('SetProperty', 'uv', 5, ('t', 0))
    job.cancel()
    assert job.call('GetProperty', 'u', 9)[1] == 7
    with pytest.raises(BusError, match=INVALID):
        job.call('SetProperty', 'uv', 9, ('u', 8))


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


def test_defaults_of_the_library(world, bits, opened):    # noqa: F811
    """JOB-302: what a program reads that has only made its job, and a file of it; NULL where BITS has NULL."""
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'a name', 0)

    def read(name, *kinds, thing=job):
        """What the getter gives; with its own answer when that is not 0."""
        values = [kind(b'x' if kind is ctypes.c_char_p else 77) for kind in kinds]
        r = bits(name, thing, *map(ctypes.byref, values))
        found = tuple(value.value for value in values)
        return (*found, r) if r else found[0] if len(found) == 1 else found
    text, number, u32, u64, size, pointer = (ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64,
                                             ctypes.c_size_t, ctypes.c_void_p)
    numbers = {'minimum_retry_delay': 600, 'no_progress_timeout': 1209600, 'maximum_download_time': 7776000,
               'notify_flags': 3, 'minimum_notification_interval': 500, 'file_acl_flags': 0,
               'peer_caching_flags': 0, 'cost_flags': 0x800000ff, 'error_count': 0, 'owner_uid': world.alice}
    assert {name: read(f'job_get_{name}', u32) for name in numbers} == numbers
    words = {'state': SUSPENDED, 'type': 0, 'priority': 2, 'dynamic_content': 0, 'high_performance': 0,
             'on_demand_mode': 0, 'use_stored_credentials': 0}
    assert {name: read(f'job_get_{name}', number) for name in words} == words
    assert read('job_get_max_download_size', u64) == 2**64 - 1 and read('job_get_next_attempt', u64) == 0
    texts = {'display_name': b'a name', 'description': b'', 'wait_reason': b'', 'waiting_for': b''}
    assert {name: read(f'job_get_{name}', text) for name in texts} == texts
    assert read('job_get_proxy_settings', number, text, text) == (0, None, None)
    assert read('job_get_notify_cmd_line', text, text) == (None, None)
    times, progress = (ctypes.c_uint64 * 3)(7, 7, 7), (ctypes.c_uint64 * 3)(7, 7, 7)
    bits('job_get_times', job, times), bits('job_get_progress', job, progress)
    assert times[0] == times[1] > 0 and times[2] == 0 and list(progress) == [0, 0, 0]
    http = bits.new('job_query_http_options', job)
    assert read('http_options_get_custom_headers', text, thing=http) == (None, 1)      # S_FALSE
    assert read('http_options_get_security_flags', u32, thing=http) == 0
    assert read('http_options_get_http_method', text, thing=http) == b'GET'
    assert bits('http_options_remove_client_certificate', http) == 1
    bits.lib.bits_http_options_free(http)
    bits('job_add_file', job, world.put(10).encode(), f'{world.vault()}/file'.encode())
    file = bits.new('job_get_file', job, 0)
    bits('file_get_progress', file, progress)
    assert [progress[0], progress[1], progress[2] & 0xffffffff] == [2**64 - 1, 0, 0]
    assert read('file_get_ranges', pointer, size, thing=file) == (None, 0, 1)
    assert read('file_get_filled_ranges', pointer, size, thing=file) == (None, 0)
    assert read('file_get_validation_state', number, thing=file) == 0
    assert read('file_is_downloaded_from_peer', number, thing=file) == 0
    assert read('file_get_peer_download_stats', u64, u64, thing=file) == (0, 0)
    assert read('file_get_response_headers', text, thing=file) == b''
    bits.lib.bits_file_free(file)
    bits('job_get_progress', job, progress)
    assert list(progress) == [2**64 - 1, 0, 1]      # one file, none of them transferred
    bits.lib.bits_job_free(job)


REFUSED = {     # call and arguments of the library: code
    ('set_priority', 4): 0x80004001, ('set_priority', -1): 0x80004001, ('set_notify_flags', 0x40): 0x80004001,
    ('set_proxy_settings', 4, None, None): 0x80004001, ('set_proxy_settings', 2, None, None): 0x80070057,
    ('set_proxy_settings', 0, b'proxy:1', None): 0x80070057, ('set_proxy_settings', 1, None, b'host'): 0x80070057,
    ('remove_credentials', 3, 1): 0x80200027, ('remove_credentials', 1, 6): 0x80200028,
    ('set_credentials', 1, 1, None, None): 0x80070057, ('set_peer_caching_flags', 8): 0x80070057,
    ('set_file_acl_flags', 16): 0x80070057, ('set_cost_flags', 0x100): 0x80070057,
    ('set_description', b'x' * 1025): 0x80200021, ('set_display_name', b'x' * 257): 0x80200021,
    ('set_reply_file_name', None): 0x80004001, ('resume',): 0x80200003,
    ('set_notify_cmd_line', None, b'a b'): 0x80070057, ('set_notify_cmd_line', b'true', None): 0x80070057}


def test_refusals_of_the_library(world, bits, opened):    # noqa: F811
    """JOB-302: values that BITS does not know have BITS's codes, and change nothing."""
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'a name', 0)
        assert getattr(bits.lib, 'bits_manager_create_job')(
            opened, b'a name', 3, ctypes.byref(ctypes.c_void_p())) < 0 and bits.lib.bits_error_code() == 0x80004001
    before = world.manager().list()
    found = {}
    for call in REFUSED:
        assert getattr(bits.lib, f'bits_job_{call[0]}')(job, *call[1:]) < 0, call
        found[call] = bits.lib.bits_error_code()
    assert found == REFUSED and world.manager().list() == before
    bits.lib.bits_job_free(job)


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
    elif state == 'connecting':     # to somebody who never answers
        silent = socket.create_server(('127.0.0.1', 0))
        job = world.start(f'http://127.0.0.1:{silent.getsockname()[1]}/x', vault / 'file')
        job.silent = silent
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
    'connecting': ((None, None, None, None), ('connecting', 'suspended', 'cancelled', 'acknowledged')),
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


CODES = {   # state: what Complete answers
    'suspended': 0x200017, 'queued': 0x200017, 'connecting': 0x200017, 'transferring': 0x200017,
    'transient-error': 0x200017, 'error': 0x200017, 'transferred': 0}


@pytest.mark.parametrize('state', CODES)
def test_code_of_complete(world, state):
    """JOB-300: BG_S_PARTIAL_COMPLETE for a job that was not done; nothing is left of what was unfinished."""
    job = in_state(world, state)
    folder = os.path.dirname(job.files()[0].local_name)
    assert job.complete() == CODES[state]
    assert [name for name in os.listdir(folder) if 'first' not in name] == ([] if CODES[state] else ['file'])


def test_code_of_cancel(world):
    """JOB-300: 0. NTF-410: who else holds the job is told, just told of something else or not, and sees what
    became of it."""
    job = in_state(world, 'transferring')
    other = bus.Job(world.handle(world.manager().open(job.id)), job.path, job.id)
    assert other.state == 'transferring'
    job.set('Description', 'a change')
    other.bus.wait_signal(lambda signal: signal.member == 'Changed')
    mark = len(other.bus.signals)
    assert job.cancel() == 0
    other.bus.wait_signal(lambda signal: signal.member in ('JobModification', 'Changed'), mark)
    assert other.state == 'cancelled'
    assert os.listdir(os.path.dirname(other.files()[0].local_name)) == []
    assert [answer(other, call) for call in CALLS] == [INVALID] * 4


NUMBERS = {None: 0, INVALID: 0x80200002, EMPTY: 0x80200003}
STATES = ('queued', 'connecting', 'transferring', 'suspended', 'error', 'transient-error', 'transferred',
          'acknowledged', 'cancelled')


@pytest.mark.parametrize('state', ['suspended', 'transferring', 'error', 'transferred'])
def test_call_in_state_of_the_library(world, bits, opened, state):    # noqa: F811
    """JOB-300: each call twice, the second time in the state where the first one led."""
    for call, end in zip(CALLS, EXPECTED[state][1]):
        ident = in_state(world, state).id.encode()
        with as_alice(world):
            job = bits.new('manager_get_job', opened, ident)
        codes = []
        for _ in range(2):
            failed = getattr(bits.lib, f'bits_job_{call.lower()}')(job, *[None][:call[0] == 'C']) < 0
            codes.append(bits.lib.bits_error_code() if failed else 0)
        final = end in ('cancelled', 'acknowledged')
        assert codes == [0, NUMBERS[INVALID if final else None]], call
        if end and call != 'Resume':
            assert STATES[bits.number('job_get_state', job, ctypes.c_int)] == end
        bits.lib.bits_job_cancel(job, None)     # or it would go before the next one
        bits.lib.bits_job_free(job)


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


@pytest.mark.parametrize('job_type, call, words', [
    ('download', 'Cancel', 'the job is cancelled'), ('download', 'Complete', 'the job is cancelled'),
    ('download', 'Suspend', 'the job is cancelled'), ('download', 'Resume', 'the job is cancelled'),
    ('upload', 'Complete', 'the job is suspended, and an upload is completed when it is transferred')])
def test_refusals_name_the_state(world, job_type, call, words):
    """JOB-406"""
    job = world.manager().create('job', job_type)
    if job_type == 'download':
        job.cancel()
    with pytest.raises(BusError, match=f'{INVALID}: {words}'):
        job.call(call)


def test_refusals_say_what_would_do(world):
    """JOB-406"""
    job, vault = world.manager().create('job'), world.vault()
    for call, arguments, words in (
            (job.set, ('Priority', 'idle'), 'foreground, high, normal or low'),
            (job.set, ('NotifyFlags', 64), '1 transferred, 2 error'),
            (world.manager().create, ('job', 'idle'), 'download, upload or upload-reply'),
            (job.add, ('http://host/', vault / 'missing' / 'a'), 'directory does not exist; create it')):
        with pytest.raises(BusError, match=words):
            call(*arguments)


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


def test_files_are_listed_as_they_were_added(world):
    """BUS-300: in that order, by the names that were given, duplicates too."""
    vault, job = world.vault(), world.manager().create()
    wanted = [(f'HTTP://Host:80/{name}%20x?q=a&b#c', f'{vault}/{name} é') for name in 'cab']
    job.add(*wanted[0])
    job.add_all(wanted[1:] + wanted[:1])
    found = [(entry.remote_name, entry.local_name) for entry in job.files()]
    assert found == wanted + wanted[:1]
    assert [(job.file(n).get('RemoteName'), job.file(n).get('LocalName')) for n in range(4)] == found
    assert job.progress == (2**64 - 1, 0, 4, 0)


def test_lists_of_the_library(world, bits, opened):    # noqa: F811
    """BUS-300: a count, entries until NULL, as often as one likes; the objects that one opens are live."""
    lib, vault = bits.lib, world.vault()
    for kind in 'job', 'file':
        getattr(lib, f'bits_{kind}_list_get').restype = ctypes.POINTER(ctypes.c_char_p)
        getattr(lib, f'bits_{kind}_list_count').restype = ctypes.c_size_t
        getattr(lib, f'bits_{kind}_list_free').restype = None

    def entries(kind, some):
        assert not getattr(lib, f'bits_{kind}_list_get')(some, ctypes.c_size_t(2**64 - 1))
        found, index = [], 0
        while entry := getattr(lib, f'bits_{kind}_list_get')(some, ctypes.c_size_t(index)):
            found.append(entry[0].decode())
            index += 1
        assert len(found) == getattr(lib, f'bits_{kind}_list_count')(some)
        return found
    one = world.manager().create('one')
    before = bits.new('manager_list_jobs', opened, 0)
    two = world.manager().create('two')
    after = bits.new('manager_list_jobs', opened, 0)
    assert entries('job', before) == [one.id] and set(entries('job', after)) == {one.id, two.id}
    one.cancel()
    assert entries('job', before) == [one.id]
    with as_alice(world):
        job = bits.new('manager_get_job', opened, two.id.encode())
    empty = bits.new('job_list_files', job)
    two.add('http://h/x', vault / 'x')
    full = bits.new('job_list_files', job)
    assert entries('file', empty) == [] and entries('file', full) == ['http://h/x']
    for kind, some in (('job', before), ('job', after), ('file', empty), ('file', full)):
        getattr(lib, f'bits_{kind}_list_free')(some)
    lib.bits_job_free(job)


# ---- who sees what


def test_whose_a_new_job_is(world):
    """JOB-302: his who made it, with what he was then."""
    uids = {world.alice: (0x2000, False), 0: (0x4000, True)} if world.root else {world.alice: None}
    for uid, (level, elevated) in uids.items() if world.root else ():
        job = world.manager(uid).create()
        found = [job.get(name) for name in ('Owner', 'OwnerUid', 'OwnerIntegrityLevel', 'OwnerElevated')]
        assert found == [f'S-1-22-1-{uid}', uid, level, elevated]
        job.cancel()

def test_visible_to_other_connections_of_the_user(world):
    """BUS-301: a job is its user's, not its process's; it outlives the connection that made it."""
    manager = bus.Manager(world.connect())
    identifier = manager.create('mine').id
    manager.bus.close()
    other = bus.Manager(world.connect()).job(identifier)
    assert other.get('DisplayName') == 'mine'
    other.set('Description', 'by another process')
    assert world.manager().job(identifier).get('Description') == 'by another process'


@pytest.mark.parametrize('end, state', [('Complete', 'acknowledged'), ('Cancel', 'cancelled')])
def test_whoever_got_the_job_can_read_it_after_its_end(world, end, state):
    """HND-400: GetJob gives an interface, which answers whoever ends the job."""
    job = in_state(world, 'transferred')
    other = bus.Manager(world.connect()).job(job.id)
    job.call(end)
    assert other.state == state and other.get('DisplayName') == 'job' and len(other.files()) == 1
    assert answer(other, 'Resume') == INVALID
    assert 'Changed' in [signal.member for signal in other.bus.signals]     # NTF-400: not later


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


# ---- names

def test_names_that_are_good_here(world):
    """BUS-12: what Windows refuses because its file names cannot be so."""
    job, vault = world.manager().create(), world.vault()
    for url, name in (('http://h/*', 'a*b?c'), ('http://h/' + 'x' * 300, 'aux'), ('http://h/x', 'a:b|c"<>'),
                      ('/a name/of this machine?', ' .')):
        job.add(url, vault / name)
        assert (job.files()[-1].remote_name, job.files()[-1].local_name) == (url, f'{vault}/{name}')


# ---- how long texts may be

def test_lengths(world):
    """JOB-412: the longest of each, and the code of one more."""
    manager, http, vault = world.manager(), bus.HTTP_OPTIONS, world.vault()
    job = manager.create()

    def credentials(user, password):
        return job.call('SetCredentials', 'ssbss', 'server', 'basic', False, user, password)

    def proxy(text, bypass):
        return job.call('SetProxySettings', 'sss', 'override', text, bypass)
    rows = [    # longest, code, call
        (256, 'InvalidArgument', lambda text: manager.create(text).cancel()),
        (256, 'StringTooLong', lambda text: job.set('DisplayName', text)),
        (1024, 'StringTooLong', lambda text: job.set('Description', text)),
        (2200, 'InvalidArgument', lambda text: job.add('http://h/' + '/'.join(text[9:][n:n + 200] for n in range(
            0, len(text) - 9, 200))[:len(text) - 9], vault / 'file')),
        (300, 'UsernameTooLarge', lambda text: credentials(text, 'p')),
        (65536, 'PasswordTooLarge', lambda text: credentials('u', text)),
        (4000, 'ProxyListTooLarge', lambda text: proxy(text, '')),
        (4000, 'ProxyBypassListTooLarge', lambda text: proxy('p', text)),
        (16383, 'StringTooLong', lambda text: job.call('SetCustomHeaders', 's', 'A:' + text[2:], interface=http)),
    ]
    for longest, code, call in rows:
        call('x' * longest)
        with pytest.raises(BusError, match=code):
            call('x' * (longest + 1))
