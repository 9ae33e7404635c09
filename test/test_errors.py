"""What a job says when something outside it goes wrong: code, context, file, and whether it is
tried again.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import shutil
import socket

import pytest

import bus
from conftest import temporary_files

MIB = 1 << 20
E_DISK_FULL, E_PATH_NOT_FOUND = 0x80070070, 0x80070003
E_NAME_NOT_RESOLVED, E_CANNOT_CONNECT, E_SECURE_FAILURE = 0x80072EE7, 0x80072EFD, 0x80072F8F


def http(status):
    return 0x80190000 + status


# JOB-60
@pytest.mark.parametrize('status', [400, 401, 403, 404, 410, 501])
def test_refusal_of_the_server_ends_the_job_and_names_the_file(world, status):
    url = world.put(0, status=status)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('error')
    fault = job.error()
    assert fault.code == http(status)
    assert fault.context == bus.CONTEXT_REMOTE_FILE
    assert (fault.remote_name, fault.local_name) == (url, str(target))
    assert fault.text
    assert len(world.server.seen(world.path_of(url))) == 1
    job.cancel()
    assert os.listdir(target.parent) == []


# JOB-61
@pytest.mark.parametrize('status', [408, 429, 500, 502, 503])
def test_failure_of_the_server_is_transient(world, status):
    url = world.put(1000, status=status, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error')
    fault = job.error()
    assert (fault.code, fault.context) == (http(status), bus.CONTEXT_REMOTE_FILE)
    assert (fault.remote_name, fault.local_name) == (url, str(target))
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# JOB-62
def test_retry_comes_by_itself_after_the_minimum_delay(world):
    url = world.put(1000, status=500, times=1)
    target = world.vault() / 'a'
    job = world.manager().create()
    job.set('MinimumRetryDelay', 5)
    job.add(url, target)
    job.resume()
    job.wait('transferred')
    first, second = world.server.seen(world.path_of(url))
    assert second.time - first.time >= 4.9
    assert job.get('ErrorCount') == 1
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# JOB-63
def test_error_count_counts_every_failure(world):
    url = world.put(1000, status=503, times=3)
    job = world.start(url, world.vault() / 'a')
    for expected in (1, 2, 3):
        job.wait_until(lambda: job.state == 'transient-error' and job.get('ErrorCount') == expected)
        job.resume()
    job.wait('transferred')
    assert job.get('ErrorCount') == 3


# JOB-64
def test_name_that_does_not_resolve_is_transient(world):
    job = world.start('http://name.invalid/a', world.vault() / 'a')
    job.wait('transient-error')
    assert job.error().code == E_NAME_NOT_RESOLVED
    assert job.error().remote_name == 'http://name.invalid/a'


# JOB-65
def test_refused_connection_is_transient(world):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))   # bound, not listening: refuses, and nobody else gets it
        job = world.start(f'http://127.0.0.1:{unused.getsockname()[1]}/a', world.vault() / 'a')
        job.wait('transient-error')
        assert job.error().code == E_CANNOT_CONNECT
        assert 'Connection refused' in job.error().text


# JOB-66
def test_without_patience_every_error_is_fatal(world):
    url = world.put(1000, status=500)
    job = world.start(url, world.vault() / 'a', no_progress_timeout=0)
    job.wait('error')
    assert len(world.server.seen(world.path_of(url))) == 1


# JOB-67
def test_job_error_is_announced_with_its_code(world):
    manager = world.manager()
    job = world.start(world.put(0, status=404), world.vault() / 'a')
    news = manager.bus.wait_signal(lambda s: s.member == 'JobError' and s.path == job.path)
    assert news.body == (bus.CONTEXT_REMOTE_FILE, http(404))
    assert job.state == 'error'


# JOB-67
def test_transient_error_is_not_announced_as_an_error(world):
    manager = world.manager()
    job = world.start(world.put(0, status=503), world.vault() / 'a')
    job.wait('transient-error')
    manager.bus.drain()
    assert not [s for s in manager.bus.signals if s.path == job.path and s.member == 'JobError']


# JOB-68
def test_no_error_to_tell_while_the_job_is_fine(world):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as caught:
        job.error()
    assert caught.value.short == 'ErrorInformationUnavailable'
    url = world.put(1000, status=500, times=1)
    job.add(url, world.vault() / 'a')
    job.resume()
    job.wait('transient-error')
    job.error()
    job.resume()
    job.wait('transferred')
    with pytest.raises(bus.BusError) as caught:
        job.error()
    assert caught.value.short == 'ErrorInformationUnavailable'


# JOB-69
def test_resume_after_a_fatal_error_tries_again(world):
    url = world.put(1000, status=404, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('error')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# JOB-70
def test_error_survives_a_restart_of_the_manager(world):
    url = world.put(0, status=404)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('error')
    before = job.error()
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'error'
    assert job.error() == before
    assert job.get('ErrorCount') == 1


# JOB-71
def test_full_disk_ends_the_job_with_the_local_file(root_world):
    world = root_world
    vault = world.vault()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b'tmpfs', os.fsencode(vault), b'tmpfs', 0,
                      f'size=1m,mode=0700,uid={world.alice},gid={world.alice}'.encode()) == 0
    try:
        url = world.put(4 * MIB)
        target = vault / 'a'
        job = world.start(url, target)
        job.wait('error')
        fault = job.error()
        assert (fault.code, fault.context) == (E_DISK_FULL, bus.CONTEXT_LOCAL_FILE)
        assert (fault.remote_name, fault.local_name) == (url, str(target))
        assert not target.exists()
        job.cancel()
        assert os.listdir(vault) == []
    finally:
        assert libc.umount2(os.fsencode(vault), 2) == 0   # lazily: a worker may still hold it


# JOB-72
def test_directory_that_has_gone_ends_the_job(world):
    vault = world.vault()
    job = world.manager().create()
    url = world.put(1000)
    job.add(url, vault / 'a')
    shutil.rmtree(vault)
    job.resume()
    job.wait('error')
    fault = job.error()
    assert (fault.code, fault.context) == (E_PATH_NOT_FOUND, bus.CONTEXT_LOCAL_FILE)
    assert fault.local_name == str(vault / 'a')


# JOB-72
def test_directory_that_goes_before_complete_fails_complete_which_may_be_repeated(world):
    vault = world.vault()
    url = world.put(1000)
    job = world.start(url, vault / 'a')
    job.wait('transferred')
    vault.rename(vault.parent / 'moved')
    with pytest.raises(bus.BusError):
        job.complete()
    assert job.state == 'transferred'
    (vault.parent / 'moved').rename(vault)
    assert job.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)


# JOB-73
def test_missing_directory_is_refused_at_add_file(world):
    job = world.manager().create()
    with pytest.raises(bus.BusError):
        job.add(world.put(10), world.vault() / 'missing' / 'a')
    assert job.files() == []


# JOB-73
def test_directory_without_permission_is_refused_at_add_file(root_world):
    world = root_world
    job = world.manager(world.alice).create()
    with pytest.raises(bus.BusError) as caught:
        job.add(world.put(10), world.vault(world.bob) / 'a')
    assert caught.value.short == 'AccessDenied'
    assert job.files() == []


# JOB-74
def test_permission_lost_later_ends_the_job(root_world):
    world = root_world
    vault = world.vault()
    job = world.manager().create()
    job.add(world.put(1000), vault / 'a')
    os.chown(vault, world.bob, world.bob)
    job.resume()
    job.wait('error')
    assert (job.error().code, job.error().context) == (0x80070005, bus.CONTEXT_LOCAL_FILE)
    os.chown(vault, world.alice, world.alice)
    job.resume()
    job.wait('transferred')


# JOB-75
def test_certificate_that_nobody_signed_ends_the_job(world, untrusted_server):
    url = world.put(1000, server=untrusted_server)
    job = world.start(url, world.vault() / 'a')
    job.wait('error')
    assert job.error().code == E_SECURE_FAILURE
    assert untrusted_server.seen(world.path_of(url)) == []


# JOB-75
def test_certificate_of_a_trusted_authority_is_accepted(world, secure_server):
    url = world.put(MIB, server=secure_server)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# JOB-76
def test_one_failing_file_stops_the_job_but_not_the_files_that_are_there(world):
    good, bad = world.put(1000), world.put(1000, status=404)
    vault = world.vault()
    job = world.manager().create()
    job.add(good, vault / 'good')
    job.add(bad, vault / 'bad')
    job.resume()
    job.wait('error')
    assert job.error().remote_name == bad
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert not (vault / 'bad').exists()
    assert temporary_files(vault) == []


def answered_behind(world, vault, **urls):
    """A job with files of those names, of which the first stands still and the second was asked for."""
    job = world.manager().create()
    for name, url in urls.items():
        job.add(url, vault / name)
    job.resume()
    first, second, *_ = map(world.path_of, urls.values())
    world.server.wait_stalled(first)
    world.server.wait_requests(second, 1)
    return job


# JOB-472
@pytest.mark.parametrize('status, state', [(404, 'error'), (503, 'transient-error')])
def test_failure_counts_when_the_files_before_are_there(world, status, state):
    first, bad, last = world.put(100_000, stall_after=1000), world.put(10, status=status), world.put(10)
    vault = world.vault()
    job = answered_behind(world, vault, first=first, bad=bad, last=last)
    job.wait_until(lambda: job.progress.files_transferred == 1)     # which is the last one
    assert job.state == 'transferring' and job.get('ErrorCount') == 0
    world.server.release(world.path_of(first))
    job.wait(state)
    assert job.error().remote_name == bad and len(world.server.seen(world.path_of(bad))) == 1
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert sorted(os.listdir(vault)) == ['first', 'last']
    assert (vault / 'first').read_bytes() == world.bytes(first)


# JOB-472
def test_first_file_that_fails_is_the_error(world):
    first, second = world.put(100_000, stall_after=1000, cut_after=2000), world.put(10, status=404)
    job = answered_behind(world, world.vault(), first=first, second=second)
    world.server.release(world.path_of(first))
    job.wait('transient-error')
    assert job.error().remote_name == first and job.get('ErrorCount') == 1


# JOB-472
@pytest.mark.parametrize('mend', ['name', 'credentials'])
def test_failure_that_waits_is_forgotten_when_it_is_mended(world, mend):
    first, bad, good = world.put(100_000, stall_after=1000), world.put(10, status=404), world.put(10)
    job = answered_behind(world, world.vault(), first=first, bad=bad)
    if mend == 'name':
        job.file(1).call('SetRemoteName', 's', good)
    else:
        world.resource(bad).status = 0
        job.call('SetCredentials', 'ssbss', 'server', 'basic', False, 'user', 'password')
    job.wait_until(lambda: job.progress.files_transferred == 1)
    world.server.release(world.path_of(first))
    job.wait('transferred')
    assert job.get('ErrorCount') == 0


# JOB-472
def test_failure_that_waits_is_forgotten_by_suspend(world):
    first, bad = world.put(100_000, stall_after=1000), world.put(10, status=404)
    job = answered_behind(world, world.vault(), first=first, bad=bad)
    job.suspend()
    assert job.state == 'suspended' and job.get('ErrorCount') == 0
    world.resource(bad).status = 0
    world.server.release(world.path_of(first))
    job.resume()
    job.wait('transferred')


# JOB-77
def test_waiting_job_says_what_it_waits_for(world):
    job = world.start(world.put(0, status=503), world.vault() / 'a')
    job.wait('transient-error')
    assert job.get('WaitReason')
    job.suspend()


# JOB-78
def test_temporary_file_that_was_taken_away_is_made_again(world):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred > 0)
    job.suspend()
    [temporary] = temporary_files(target.parent)
    temporary.unlink()
    temporary.write_bytes(b'somebody else wrote this')   # same name, not our file
    os.chown(temporary, world.alice, -1)
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)
