"""The examples that go on when their helper's token is gone, and the one without the library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import signal
import subprocess

import pytest

from test_tokens import socket_uid

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / 'examples'
MIB = 1 << 20
NAME = 'bits-bob'


def sync_service(url, path):
    return ['sync-service', url, str(path), NAME]


def fetch_as(url, path):
    return ['/usr/bin/python3', str(EXAMPLES / 'fetch_as.py'), NAME, url, str(path)]


BOTH = pytest.mark.parametrize('program', [sync_service, fetch_as])


class Running:
    """An example in the middle of its download; killed at the end if it still runs."""

    def __init__(self, world, program, url, path):
        self.world = world
        self.process = world.playground.popen(program(url, path), 0, text=True,
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def end(self):
        out, err = self.process.communicate(timeout=120)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def only_job(world):
    manager = world.manager(0)
    entry, = manager.list()
    return manager.job(entry['Id'])


def check(world, result, url, path):
    assert result.returncode == 0, result.stderr
    assert result.stdout == f'{path}\n'
    assert path.read_bytes() == world.bytes(url)
    assert path.stat().st_uid == 0
    assert world.manager(0).list() == []


def stalled(world, program):
    """One that waits for a server which sent a part."""
    url, path = world.put(3 * MIB, stall_after=MIB, times=1), world.vault(uid=0) / 'file'
    running = Running(world, program, url, path)
    try:
        running.request = world.server.wait_stalled(world.path_of(url))
    except BaseException:
        running.__exit__()
        raise
    return running, url, path


# LIB-40, LIB-43
@BOTH
def test_root_writes_and_another_user_connects(root_world, program):
    world = root_world
    running, url, path = stalled(world, program)
    with running:
        job = only_job(world)
        assert socket_uid(running.request.peer_port, world.server.port) == world.bob
        assert (job.helper_sid(), job.helper_flags()) == (f'S-1-22-1-{world.bob}', 2)
        world.server.release(world.path_of(url))
        check(world, running.end(), url, path)


# LIB-41, LIB-44
@BOTH
def test_a_token_that_is_gone_is_replaced(forgetful_world, program):
    world = forgetful_world
    running, url, path = stalled(world, program)
    with running:
        world.restart('broker')
        result = running.end()
        assert 'a fresh one' in result.stderr
        check(world, result, url, path)


# LIB-42
def test_sync_service_outlives_the_daemon(forgetful_world):
    world = forgetful_world
    running, url, path = stalled(world, sync_service)
    with running:
        world.restart('bitsd')
        result = running.end()
        assert 'has restarted' in result.stderr and 'a fresh one' in result.stderr
        check(world, result, url, path)


# LIB-42
def test_sync_service_finds_its_job_again(root_world):
    world = root_world
    running, url, path = stalled(world, sync_service)
    with running:
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    job = only_job(world)
    world.server.release(world.path_of(url))
    result = world.playground.run(sync_service(url, path), uid=0)
    assert f'going on with job {job.id}' in result.stderr
    check(world, result, url, path)


# LIB-40, LIB-43
@BOTH
@pytest.mark.parametrize('fault', ['404', 'directory', 'user'])
def test_failures_are_told_and_leave_nothing(root_world, program, fault):
    world = root_world
    url, vault = world.put(1000, **({'status': 404} if fault == '404' else {})), world.vault(uid=0)
    command = program(url, vault / ('missing/file' if fault == 'directory' else 'file'))
    if fault == 'user':
        command = ['nobody-of-that-name' if word == NAME else word for word in command]
    result = world.playground.run(command, uid=0)
    expected = {'404': '0x80190194', 'directory': 'missing', 'user': 'nobody-of-that-name'}
    assert result.returncode == 1 and expected[fault] in result.stderr
    assert 'Traceback' not in result.stderr
    assert world.manager(0).list() == []
    assert list(vault.iterdir()) == []


# LIB-43
def test_fetch_as_needs_nothing_but_jeepney():
    """Whoever copies the file has all of it."""
    modules = {line.split()[1].split('.')[0] for line in (EXAMPLES / 'fetch_as.py').read_text().splitlines()
               if line.startswith(('import ', 'from '))}
    assert modules == {'contextlib', 'os', 'pwd', 'socket', 'sys', 'jeepney'}
