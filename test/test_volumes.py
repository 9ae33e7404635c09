"""Destinations that become read-only, or another volume, under a job: with real mounts.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import subprocess

import pytest

import bus
from conftest import temporary_files

DESTINATION_LOCKED = 0x8020000D
VOLUME_CHANGED = 0x8020000E
UNABLE_TO_DELETE_FILES = 0x0020001A
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


@pytest.fixture
def two_volumes(root_world):
    """A mount point of alice's, and what may be mounted there: the volume, and another one."""
    point, volume, other = (root_world.vault() for _ in range(3))
    mount(volume, root_world.alice)
    mount(other, root_world.alice)
    bind(volume, point)
    yield point, volume, other
    for place in (point, volume, other):
        while subprocess.run(['umount', '--lazy', place], capture_output=True).returncode == 0:
            pass


def bind(volume, point):
    subprocess.run(['mount', '--bind', volume, point], check=True)


def unmount(point):
    subprocess.run(['umount', '--lazy', point], check=True)


# FIL-390
@pytest.mark.parametrize('instead', ['nothing', 'another volume'])
def test_complete_without_the_right_volume_loses_nothing(root_world, two_volumes, instead):
    point, volume, other = two_volumes
    urls = [root_world.put(SIZE) for _ in range(2)]
    job = root_world.manager().create('job')
    job.add_all([(url, point / f'f{n}') for n, url in enumerate(urls)])
    job.resume()
    job.wait('transferred')
    unmount(point)
    if instead != 'nothing':
        bind(other, point)
    with pytest.raises(bus.BusError) as caught:
        job.complete()
    assert caught.value.short == 'VolumeChanged'
    assert 'mount that one again' in caught.value.text and str(point / 'f') in caught.value.text
    assert job.state == 'transferred' and list(point.iterdir()) == []
    assert len(temporary_files(volume)) == 2
    root_world.restart('bitsd')
    job.bus.wait_owner()
    assert job.state == 'transferred'
    if instead != 'nothing':
        unmount(point)
    bind(volume, point)
    assert job.complete() == 0
    assert [(volume / f'f{n}').read_bytes() for n in range(2)] == [root_world.bytes(url) for url in urls]
    assert temporary_files(volume) == []


# FIL-390: what it cannot reach it does not call removed.
def test_cancel_without_the_right_volume_says_what_it_left(root_world, two_volumes):
    point, volume, other = two_volumes
    job = root_world.start(root_world.put(SIZE), point / 'f')
    job.wait('transferred')
    left, = temporary_files(volume)
    unmount(point)
    bind(other, point)
    assert job.cancel() == UNABLE_TO_DELETE_FILES
    assert f'cannot remove {point / left.name}: another volume' in root_world.logs()
    assert list(other.iterdir()) == []


# FIL-390
def test_complete_of_a_lost_file_says_so(root_world, volume):
    job = root_world.start(root_world.put(SIZE), volume / 'f')
    job.wait('transferred')
    left, = temporary_files(volume)
    left.rename(volume / 'elsewhere')
    with pytest.raises(bus.BusError) as caught:
        job.complete()
    assert caught.value.short == 'NoSuchFile' and 'is not there any more' in caught.value.text
    (volume / 'elsewhere').rename(left)
    assert job.complete() == 0
