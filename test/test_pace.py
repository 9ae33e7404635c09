"""The pace of background work: uploads, and what a server has sent of a download that is paced.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import time

import pytest

from bits_server import BitsServer
from configured import Configured

MIB = 1 << 20
RATE = 8000             # kbit/s: a million bytes a second
SLOW = 64               # kbit/s: 8,000 bytes a second
BLOCKED_BY_POLICY = 0x8020003E


@pytest.fixture
def config(world):
    configured = Configured(world.playground)
    yield configured
    configured.clear()


@pytest.fixture
def bits_server(tmp_path):
    server = BitsServer(tmp_path / 'www')
    yield server
    server.close()
    assert server.breaches == []


def limit(rate, jobs=1):
    return (f'[Limits]\nMaxBackgroundJobs={jobs}\n[Bandwidth]\nMaxInternetBandwidth={rate}\n'
            f'MaxInternetBandwidthOtherwise={rate}\n')


def upload(world, server, size, uid=None, **options):
    uid = world.alice if uid is None else uid
    path = world.vault(uid) / 'source'
    path.write_bytes(os.urandom(size))
    if world.root:
        os.chown(path, uid, uid)
    job = world.manager(uid).create('up', 'upload', **options)
    job.add(server.url(path.parent.name), path)
    job.resume()
    return job


def arrived(server, skip=0):
    """Bytes a second of what came, without the first ones."""
    pieces = list(server.arrived)
    while skip > 0:
        skip -= pieces.pop(0)[1]
    return sum(size for _, size in pieces[1:]) / (pieces[-1][0] - pieces[0][0])


def near(rate, wanted):
    return abs(rate - wanted) < wanted / 10


# POL-213, POL-214
def test_uploads_keep_to_the_rate_and_the_foreground_does_not(world, bits_server, config, tmp_path):
    config.write(limit(RATE))
    job = upload(world, bits_server, 4_000_000)
    bits_server.wait_for('Fragment')
    other = BitsServer(tmp_path / 'other')
    try:
        began = time.monotonic()
        upload(world, other, 16 * MIB, Priority='foreground').wait('transferred')
        assert 16 * MIB / (time.monotonic() - began) > 8 * RATE * 125
    finally:
        other.close()
    job.wait('transferred')
    rate = arrived(bits_server, skip=500_000)
    assert near(rate, RATE * 125), f'{rate} bytes/s'


# POL-213, POL-215
def test_uploads_share_the_rate(world, bits_server, config):
    config.write(limit(RATE, jobs=2))
    jobs = [upload(world, bits_server, 2_000_000, uid) for uid in (world.alice, world.bob)]
    for job in jobs:
        job.wait('transferred')
    rate = arrived(bits_server, skip=1_000_000)
    assert near(rate, RATE * 125), f'{rate} bytes/s'


# POL-216: in the middle of a fragment, and it goes on where the server was
def test_no_bandwidth_stops_an_upload(world, bits_server, config):
    config.write(limit(RATE))
    job = upload(world, bits_server, 4_000_000)
    bits_server.wait_for('Fragment')
    config.write(limit(0))
    job.wait('transient-error')
    assert job.error().code == BLOCKED_BY_POLICY and job.get('ErrorCount') == 0
    config.write('')
    job.wait('transferred')
    assert bits_server.count('Create-Session') == 1
    sent, = [path for path in bits_server.folder.iterdir() if path.is_file()]
    assert sent.stat().st_size == 4_000_000


# UPL-380: a server hears of a slow client all the time, not now and then
def test_a_slow_upload_is_steady(world, bits_server, config):
    config.write(limit(SLOW))
    job = upload(world, bits_server, 20_000)
    job.wait('transferred')
    pieces = bits_server.arrived
    times = [when for when, _ in pieces]
    assert 2 < times[-1] - times[0] < 4
    assert max(later - sooner for sooner, later in zip(times, times[1:])) < 1
    assert max(size for _, size in pieces) <= 4096


def waiting_in_the_kernel(port):
    """Bytes that have arrived at the socket with that port of ours, and nobody has read."""
    for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f':{port:04X}'):
            return int(fields[4].split(':')[1], 16)
    raise AssertionError('the connection is gone')


# POL-385: what is not read is not sent: the server waits, not the bytes in between
@pytest.mark.parametrize('rate, first, most', [(RATE, 2_000_000, 1_500_000), (SLOW, 1, 200_000)])
@pytest.mark.parametrize('kept', [False, True], ids=['new connection', 'kept connection'])
def test_little_piles_up_behind_a_paced_download(world, config, rate, first, most, kept):
    if kept:
        url = world.put(1000)
        world.start(url, world.vault() / 'small').wait('transferred')
        before, = world.server.seen(world.path_of(url))
    config.write(limit(rate))
    url = world.put(64 * MIB)
    job = world.start(url, world.vault() / 'a')
    job.wait_until(lambda: job.progress.transferred >= first)
    request, = world.server.seen(world.path_of(url))
    assert not kept or request.peer_port == before.peer_port
    waiting = waiting_in_the_kernel(request.peer_port)
    assert waiting < most, f'{waiting} bytes'
