"""What programs written for BITS rely on: defaults, results of calls in each state, snapshots, who sees
what, and how a job ends when a server fails. Through the bus and through the library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

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

def test_defaults_of_a_new_job(world):
    """JOB-302: every property of a job that was only made."""
    job = world.manager().create('a name')
    found = job.get_all()
    wanted = {
        'Type': 'download', 'State': 'suspended', 'Priority': 'normal', 'DisplayName': 'a name', 'Description': '',
        'MinimumRetryDelay': 600, 'NoProgressTimeout': 1209600, 'NotifyFlags': 3, 'ErrorCount': 0,
        'Progress': (0, 0, 0, 0), 'MaximumDownloadTime': 7776000, 'MinimumNotificationInterval': 500,
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert found['Times'][2] == 0 and found['Times'][0] == found['Times'][1]
    assert job.call('GetProxySettings') == ('preconfig', '', '')
    with pytest.raises(BusError, match='ErrorInformationUnavailable'):
        job.call('GetError')
    assert job.files() == []


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
