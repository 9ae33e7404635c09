"""Files on shares that hang: whoever closes such a file may wait for ever, and bitsd must not.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import signal
import socket

import pytest

import bus
from share import Share


@pytest.fixture
def world(root_world):
    return root_world


@pytest.fixture
def share(world):
    folder = world.base / 'share'
    folder.mkdir()
    try:
        made = Share(folder)
    except OSError as error:
        pytest.skip(f'no FUSE here: {error}')
    with made:
        yield made


def running(world, name):
    return [pid for pid in world.playground.pids(name)
            if pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z']


# SEC-370: a job is suspended whose worker for the network has just died, so that the last descriptors
# outside of its workers are bitsd's.
def test_share_that_hangs_when_a_file_is_closed_stops_nobody_else(world, share):
    share.put('a', os.urandom(1000))
    job, other = world.manager().create('u', 'upload'), world.manager(world.carol)
    [broker] = world.playground.pids('broker')
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(20)
        job.add(f'http://127.0.0.1:{server.getsockname()[1]}/a', f'{share.folder}/a')
        job.resume()
        connection, _ = server.accept()
    os.kill(broker, signal.SIGSTOP)     # no other worker is started
    try:
        world.playground.kill('bits-net', signal.SIGKILL)
        bus.poll_until(lambda: not running(world, 'bits-net'), 'bits-net to end')
        with share.changed:
            share.holds_closing = True
        suspended = job.bus.send(job.path, bus.JOB, 'Suspend')
        share.wait_closing(1)
        other.create().cancel()     # bitsd waits for the share by now, or not
        share.release_closing()
    finally:
        os.kill(broker, signal.SIGCONT)
        connection.close()
    job.bus.reply(suspended)
