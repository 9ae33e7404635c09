"""Uploads to places on this machine: file:// URLs and absolute paths as remote names.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import stat
import subprocess

import pytest

import bus
from conftest import temporary_files
from share import Share
from test_file_urls import DENIED, MIB, PATH_NOT_FOUND, WHO, publish

CHANGED, DISK_FULL = 0x8020001D, 0x80070070


def put(world, source, remote, uid=None, **options):
    job = world.manager(uid).create('job', 'upload', **options)
    job.add(str(remote), source)
    job.resume()
    return job


def finish(job):
    job.wait('transferred')
    assert job.complete() == 0


@pytest.fixture
def share(root_world):
    folder = root_world.base / 'share'
    folder.mkdir()
    with Share(folder) as mounted:
        yield mounted


def put_shared(world, share, size=4 * MIB, hold=MIB):
    """A job that has read what lies before `hold` of its source, and waits."""
    file = share.put('a', os.urandom(size))
    file.hold_at(hold)
    target = world.vault() / 'remote'
    job = put(world, f'{share.folder}/a', target)
    file.wait_held()
    return file, job, target


@pytest.mark.parametrize('prefix', ['file://', ''])
def test_a_file_is_put_in_its_place(world, prefix):
    """FIL-112: with its time, over what was there."""
    source, target = publish(world, os.urandom(3_000_001)), world.vault() / 'remote'
    target.write_bytes(b'old')
    if world.root:
        os.chown(target, world.alice, world.alice)
    job = put(world, source, f'{prefix}{target}')
    job.wait('transferred')
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert job.files()[0].transferred == 3_000_001
    assert job.complete() == 0
    assert os.listdir(target.parent) == ['remote']


@pytest.mark.parametrize('flags', WHO)
def test_the_flags_say_who_reads_and_who_writes(root_world, flags):
    """FIL-112, TOK-100: source and place are shut for everybody else."""
    world = root_world
    reader = world.bob if flags & bus.LOCAL_FILE else world.alice
    writer = world.bob if flags & bus.NETWORK else world.alice
    source, target = publish(world, uid=reader), world.vault(writer) / 'remote'
    job = world.manager().create('job', 'upload')
    fd = world.token(world.bob)
    job.set_helper_token(fd)
    os.close(fd)
    job.set_helper_flags(flags)
    job.add(str(target), source)
    job.resume()
    finish(job)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_uid == writer


def test_nothing_has_the_name_before_the_end(root_world, share):
    """FIL-112, FIL-113: and Cancel leaves nothing."""
    file, job, target = put_shared(root_world, share)
    assert not target.exists()
    assert len(temporary_files(target.parent)) == 1
    file.release()
    job.wait('transferred')
    assert target.read_bytes() == file.data
    file.hold_at(MIB)
    again = put(root_world, f'{share.folder}/a', target)
    file.wait_held()
    serial = again.bus.send(again.path, bus.JOB, 'Cancel')
    file.release()
    assert again.bus.reply(serial) == 0
    assert os.listdir(target.parent) == ['remote']


def test_a_stop_keeps_what_was_put(root_world, share):
    """FIL-112"""
    file, job, target = put_shared(root_world, share)
    job.suspend()
    file.release()
    job.wait_until(lambda: job.progress.transferred >= MIB, 'the kept bytes')
    kept = job.progress.transferred
    file.reads.clear()
    job.resume()
    finish(job)
    assert min(file.reads) == kept
    assert target.read_bytes() == file.data


@pytest.mark.parametrize('rests', [False, True])
def test_a_source_that_changes_ends_the_job(root_world, share, rests):
    """FIL-114: in the middle, and between two tries (ENG-430: at once after a Suspend)."""
    file, job, target = put_shared(root_world, share)
    if rests:
        job.suspend()
        file.release()
        job.wait_until(lambda: job.progress.transferred >= MIB, 'the kept bytes')
    file.change(file.data[::-1])
    if rests:
        job.resume()
    else:
        file.release()
    job.wait('error')
    fault = job.error()
    assert (fault.context, fault.code) == (bus.CONTEXT_LOCAL_FILE, CHANGED)
    assert not target.exists()
    assert job.cancel() == 0
    assert os.listdir(target.parent) == []


def test_the_daemon_may_die_in_the_middle(root_world, share):
    """FIL-112, DUR-101"""
    world = root_world
    file, job, target = put_shared(world, share)
    world.restart('bitsd')
    file.release()
    job = world.manager().job(job.id)
    finish(job)
    assert target.read_bytes() == file.data
    assert os.listdir(target.parent) == ['remote']


def test_a_place_that_cannot_be(root_world):
    """FIL-114"""
    world = root_world
    source, vault = publish(world), world.vault()
    for place, code in ((vault / 'nowhere/remote', PATH_NOT_FOUND),
                        (world.vault(world.bob) / 'remote', DENIED)):
        job = put(world, source, place)
        job.wait('error')
        fault = job.error()
        assert (fault.context, fault.code) == (bus.CONTEXT_REMOTE_FILE, code)
        assert job.cancel() == 0


def test_a_full_disk_over_there(root_world):
    """FIL-114"""
    world = root_world
    source, vault = publish(world, os.urandom(3 * MIB)), world.vault()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size=1m,mode=700,uid={world.alice}', 'small', vault],
                   check=True)
    try:
        job = put(world, source, vault / 'remote')
        job.wait('error')
        fault = job.error()
        assert (fault.context, fault.code) == (bus.CONTEXT_REMOTE_FILE, DISK_FULL)
        subprocess.run(['mount', '-o', 'remount,size=8m', vault], check=True)
        job.resume()
        finish(job)
        assert (vault / 'remote').read_bytes() == source.read_bytes()
    finally:
        subprocess.run(['umount', '-l', vault], check=True)


def test_rights_are_carried_there_too(world):
    """FIL-117"""
    source, target = publish(world, mode=0o751), world.vault() / 'remote'
    job = world.manager().create('job', 'upload')
    job.set('FileACLFlags', 4)
    job.add(str(target), source)
    job.resume()
    finish(job)
    assert stat.S_IMODE(target.stat().st_mode) == 0o751


def test_a_reply_needs_a_server(world):
    """FIL-111"""
    job = world.manager().create('job', 'upload-reply')
    with pytest.raises(bus.BusError) as refused:
        job.add(f'file://{world.vault()}/remote', publish(world))
    assert refused.value.short == 'InvalidArgument'
    assert 'server' in refused.value.text
