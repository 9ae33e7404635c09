"""The pace of background work: uploads, and what a server has sent of a download that is paced.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import statistics
import time

import pytest

import bus
from bits_server import BitsServer
from configured import Configured
from pace import Pace

MIB = 1 << 20
RATE = 8000             # kbit/s: a million bytes a second
SLOW = 64               # kbit/s: 8,000 bytes a second
BYTES = RATE * 125
MINUTE = 64 * BYTES     # more than anybody looks at
PIECE = 4096            # a small one: what may move beyond the rate
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
    path.touch()
    os.truncate(path, size)
    if world.root:
        os.chown(path, uid, uid)
    job = world.manager(uid).create('up', 'upload', **options)
    job.add(server.url(path.parent.name), path)
    job.resume()
    return job


def keeps_to(pace, server):
    """Until what arrives has kept to the pace for long enough; never has it been more."""
    def held():
        for when, size in server.arrived[len(pace.seen) - 1:]:
            pace.saw(pace.seen[-1][1][0] + size, when=when)
        return pace.held and pace.seen[-1][1][0] >= 6 * pace.rate
    bus.poll_until(held, 'the rate')
    pace.never_exceeded(PIECE)


def cancelled(server, *jobs):
    for job in jobs:
        job.cancel()
    server.wait_for('Cancel-Session', len(jobs))


# POL-213, POL-214
def test_uploads_keep_to_the_rate_and_the_foreground_does_not(world, bits_server, config, tmp_path):
    config.write(limit(RATE))
    pace = Pace(BYTES)
    job = upload(world, bits_server, MINUTE)
    bits_server.wait_for('Fragment')
    other = BitsServer(tmp_path / 'other')
    try:
        began = time.monotonic()
        upload(world, other, 32 * MIB, Priority='foreground').wait('transferred')
        assert 32 * MIB > 2 * BYTES * (time.monotonic() - began)
    finally:
        other.close()
    keeps_to(pace, bits_server)
    cancelled(bits_server, job)


# POL-213, POL-215
def test_uploads_share_the_rate(world, bits_server, config):
    config.write(limit(RATE, jobs=2))
    pace = Pace(BYTES)
    jobs = [upload(world, bits_server, MINUTE, uid) for uid in (world.alice, world.bob)]
    keeps_to(pace, bits_server)
    cancelled(bits_server, *jobs)


# POL-216: in the middle of a fragment, and it goes on where the server was
def test_no_bandwidth_stops_an_upload(world, bits_server, config):
    config.write(limit(RATE))
    job = upload(world, bits_server, MINUTE)
    bits_server.wait_for('Fragment')
    config.write(limit(0))
    job.wait('transient-error')
    assert job.error().code == BLOCKED_BY_POLICY and job.get('ErrorCount') == 0
    config.write('')
    job.wait('transferred')
    assert bits_server.count('Create-Session') == 1
    sent, = [path for path in bits_server.folder.iterdir() if path.is_file()]
    assert sent.stat().st_size == MINUTE


# UPL-380: a server hears of a slow client all the time, not now and then
def test_a_slow_upload_is_steady(world, bits_server, config):
    config.write(limit(SLOW))
    pace = Pace(SLOW * 125)
    job = upload(world, bits_server, 60 * SLOW * 125)
    keeps_to(pace, bits_server)
    cancelled(bits_server, job)
    # Some may have waited for a server that stood still; most have not.
    pauses = [later - sooner for (sooner, _), (later, _) in zip(pace.seen[1:], pace.seen[2:])]
    assert statistics.median(pauses) < 0.5
    assert statistics.median(size for _, size in bits_server.arrived) <= PIECE


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
