"""How long a job's error can be asked for, when patience ends at once, and calls of uploads in each state:
what programs written for BITS do while something fails.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import subprocess

import pytest

import bus
from bits_server import BitsServer
from test_conformance import INVALID, answer, in_state
from test_library import as_alice, bits, opened  # noqa: F401

UNAVAILABLE = 'ErrorInformationUnavailable'


@pytest.mark.parametrize('state', ['error', 'transient-error'])
def test_error_stays_until_bytes_come(world, bits, opened, state):    # noqa: F811
    """JOB-470: while the job is suspended, over a restart, while it waits for its turn and for the server;
    ErrorTime is of the state alone."""
    job = in_state(world, state)
    fault = job.error()
    assert job.get('ErrorTime') > 0
    job.suspend()
    assert (job.error(), job.call('GetErrorProtocol'), job.get('ErrorTime')) == (fault, 'http', 0)
    with as_alice(world):
        same = bits.new('manager_get_job', opened, job.id.encode())
    protocol = ctypes.c_char_p()
    bits('job_get_error_protocol', same, ctypes.byref(protocol))
    assert protocol.value == b'http'
    bits.lib.bits_job_free(same)
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert (job.state, job.error()) == ('suspended', fault)
    first = world.start(world.put(100_000, stall_after=10), world.vault() / 'first', Priority='high')
    first.wait('transferring')
    job.resume()
    assert (job.state, job.error()) == ('queued', fault)
    file = world.resource(fault.remote_name)
    file.status, file.stall_after = 0, 5
    first.cancel()
    job.wait('transferring')
    assert answer(job, 'GetError') == answer(job, 'GetErrorProtocol') == UNAVAILABLE
    world.server.release(world.path_of(fault.remote_name))
    job.wait('transferred')
    assert answer(job, 'GetError') == UNAVAILABLE and job.get('ErrorCount') == 1


def test_error_of_a_job_that_has_ended(world):
    """JOB-470: it is over with the job."""
    job = in_state(world, 'error')
    job.cancel()
    assert answer(job, 'GetError') == UNAVAILABLE


def test_last_error_is_shown_as_such(world):
    """JOB-470: by `bits show`: not as if the job were in an error now."""
    job = in_state(world, 'error')

    def shown():
        return world.playground.run(['bits', 'show', job.id], uid=world.alice if world.root else None,
                                    check=True, stdout=subprocess.PIPE, text=True).stdout
    assert '\nerror  ' in shown() and '\nerror since' in shown()
    job.suspend()
    assert '\nlast error  ' in shown() and '\nerror' not in shown().replace('\nerror-count', '')


@pytest.mark.parametrize('name, value', [('NoProgressTimeout', 0), ('NoProgressTimeout', 599),
                                         ('MinimumRetryDelay', 1209601)])
def test_patience_shorter_than_the_delay_ends_the_waiting(world, name, value):
    """JOB-471: at once, with JobError and the error that it waited for."""
    job = in_state(world, 'transient-error')
    fault, mark = job.error(), len(job.bus.signals)
    job.set(name, value)
    job.wait('error')
    assert job.error() == fault and job.get('ErrorCount') == 1
    told = job.bus.wait_signal(lambda signal: (signal.path, signal.member) == (job.path, 'JobError'), mark)
    assert told.body == fault[:2]


@pytest.mark.parametrize('state', ['queued', 'connecting', 'transferring'])
def test_patience_is_for_failures(world, state):
    """JOB-471: a job that has not failed does not mind."""
    job = in_state(world, state)
    job.set('NoProgressTimeout', 0)
    assert job.state == state


# ---- uploads

@pytest.fixture
def uploads(tmp_path):
    server = BitsServer(tmp_path)
    server.file('in').mkdir()
    yield server
    server.close()


def upload_in_state(world, uploads, state):
    vault = world.vault()
    source = vault / 'source'
    source.write_bytes(b'content')
    source.chmod(0o644)
    job = world.manager().create('job', 'upload')
    status = {'transient-error': 503, 'error': 404}.get(state)
    job.add(world.put(1, status=status) if status else uploads.url('in/file'), source)
    if state in ('suspended', 'cancelled'):
        if state == 'cancelled':
            job.cancel()
        return job
    job.resume()
    job.wait('transferred' if state == 'acknowledged' else state)
    if state == 'acknowledged':
        job.complete()
    return job


UPLOADS = {     # state: answers of Suspend, Complete, Cancel, each to a new job; the state after Complete
    'suspended': (None, INVALID, None, 'suspended'), 'transient-error': (None, INVALID, None, 'transient-error'),
    'error': (None, INVALID, None, 'error'), 'transferred': (None, None, None, 'acknowledged'),
    'acknowledged': (INVALID,) * 3 + ('acknowledged',), 'cancelled': (INVALID,) * 3 + ('cancelled',)}


@pytest.mark.parametrize('state', UPLOADS)
def test_calls_of_uploads(world, uploads, state):
    """JOB-300: Complete is for an upload that is transferred, and for no other."""
    *wanted, end = UPLOADS[state]
    found = []
    for call in 'Suspend', 'Complete', 'Cancel':
        job = upload_in_state(world, uploads, state)
        found.append(answer(job, call))
        if call == 'Complete':
            assert job.state == end
    assert found == wanted
    assert os.listdir(uploads.file('in')) == (['file'] if state in ('transferred', 'acknowledged') else [])
