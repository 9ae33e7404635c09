"""Files on shares that hang: whoever closes such a file may wait for ever, and bitsd must not.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import time

import pytest

import bus
from share import Share

MIB = 1 << 20


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


def answers(world, uid):
    """How long a call of that user takes."""
    begin = time.monotonic()
    bus.Manager(world.connect(uid)).create().cancel()
    return time.monotonic() - begin


# SEC-370
def test_share_that_hangs_when_a_file_is_closed_stops_nobody_else(world, share):
    share.put('a', os.urandom(1000))
    jobs = [world.manager().create(f'u{n}', 'upload') for n in range(4)]
    for job in jobs:
        job.call('AddFile', 'ss', world.server.url(f'/nowhere/{job.id}'), f'{share.folder}/a')
        job.set('Priority', 'foreground')
    share.holds_closing = True
    for job in jobs:
        job.resume()
    with share.changed:
        assert share.changed.wait_for(lambda: len(share.closing) >= 3, 20)
    assert answers(world, world.carol) < 5
    share.release_closing()
    for job in jobs:
        job.wait('error', 'transient-error', 'transferred')
