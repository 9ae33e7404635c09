"""Destinations that become read-only, or another volume, under a job: with real mounts.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import subprocess

import pytest

import bus
from conftest import temporary_files

DESTINATION_LOCKED = 0x8020000D
VOLUME_CHANGED = 0x8020000E
SIZE = 3_000_000


def mount(point, owner, *options):
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', ','.join((f'uid={owner},gid={owner},mode=700', *options)),
                           'none', point], capture_output=True, text=True)
    if done.returncode:
        pytest.skip('cannot mount: ' + done.stderr.strip())


@pytest.fixture
def volume(root_world):
    """A directory of alice's with a file system of its own."""
    point = root_world.vault()
    mount(point, root_world.alice)
    yield point
    while subprocess.run(['umount', '--lazy', point], capture_output=True).returncode == 0:
        pass


# JOB-226
def test_read_only_volume_is_waited_for(root_world, volume):
    job = root_world.manager().create('job')
    job.set('MinimumRetryDelay', 5)
    url = root_world.put(SIZE)
    job.add(url, volume / 'a')
    subprocess.run(['mount', '-o', 'remount,ro', volume], check=True)
    job.resume()
    job.wait('transient-error')
    assert job.error().code == DESTINATION_LOCKED
    assert job.get('WaitingFor') == 'volume'
    assert 'volume' in job.get('WaitReason')
    assert job.get('ErrorCount') == 0
    assert job.get('NextAttempt') > 0
    subprocess.run(['mount', '-o', 'remount,rw', volume], check=True)
    job.wait('transferred')        # by itself
    assert job.get('ErrorCount') == 0
    assert job.get('WaitingFor') == ''
    job.complete()
    assert (volume / 'a').read_bytes() == root_world.bytes(url)


# JOB-226: what cannot be written to from the beginning is refused when it is named.
def test_read_only_volume_is_refused_at_once(root_world, volume):
    subprocess.run(['mount', '-o', 'remount,ro', volume], check=True)
    with pytest.raises(bus.BusError) as caught:
        root_world.manager().create('job').add(root_world.put(10), volume / 'a')
    assert caught.value.short == 'WriteProtected'


# FIL-220
def test_other_volume_gets_nothing(root_world, volume):
    url = root_world.put(SIZE, stall_after=SIZE // 2)
    job = root_world.start(url, volume / 'a')
    root_world.server.wait_stalled(root_world.path_of(url))
    job.suspend()
    bus.poll_until(lambda: root_world.kept(job) > 0, 'bytes to be kept')
    mount(volume, root_world.alice)
    root_world.server.release(root_world.path_of(url))
    job.resume()
    job.wait('error')
    assert job.error().code == VOLUME_CHANGED
    assert job.error().local_name == str(volume / 'a')
    assert list(volume.iterdir()) == []
    subprocess.run(['umount', '--lazy', volume], check=True)   # the worker looked at it a moment ago
    assert len(temporary_files(volume)) == 1
    job.resume()
    job.wait('transferred')
    job.complete()
    assert (volume / 'a').read_bytes() == root_world.bytes(url)
    offsets = [request.headers.get('range') for request in root_world.server.seen(root_world.path_of(url))]
    assert offsets[-1] not in (None, 'bytes=0-')
