"""Files of which only ranges are wanted: what arrives, what is refused, what a server may spoil.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os

import pytest

import bus

KIB, MIB = 1 << 10, 1 << 20
TO_END = 2 ** 64 - 1


def expected(content, ranges):
    return b''.join(content[begin:None if length == TO_END else begin + length]
                    for begin, length in ranges)


def ranges_job(world, url, target, ranges, **properties):
    job = world.manager().create('parts')
    for name, value in properties.items():
        job.set(name, value)
    job.add_ranges(url, target, ranges)
    return job


def asked(world, url):
    """The Range headers of all requests of a path of the faulty server, in their order."""
    return [request.headers.get('range', '')
            for request in world.server.seen(world.path_of(url))]


# RNG-170, RNG-171, RNG-177
@pytest.mark.parametrize('ranges', [
    [(0, 10)],
    [(5, 1)],
    [(2 * MIB, 100), (0, 100), (100, 50)],
    [(100, 100), (1000, 100), (200, 100)],
    [(1000, TO_END)],
    [(3 * MIB, TO_END), (0, 1), (1, 1), (2, 1)],
    [(0, TO_END)],
    [(position, 512) for position in range(2 * MIB, 0, -1 * MIB // 8)],
], ids=str)
def test_ranges_lie_behind_one_another_in_the_order_given(world, nginx, ranges):
    content = os.urandom(3 * MIB + 17)
    url = nginx.publish('source.bin', content)
    target = world.vault() / 'parts.bin'
    job = ranges_job(world, url, target, ranges)
    assert job.file().ranges() == ([] if ranges == [(0, TO_END)] else ranges)
    if TO_END not in [length for _, length in ranges]:
        assert job.progress.total == sum(length for _, length in ranges)
    job.resume()
    job.wait('transferred')
    wanted = expected(content, ranges)
    assert job.progress.transferred == job.progress.total == len(wanted)
    assert job.file().progress == (len(wanted), len(wanted), False)
    assert job.complete() == 0
    assert target.read_bytes() == wanted


# RNG-171
def test_neighbours_are_one_request_and_all_share_a_connection(world):
    url = world.put(MIB)
    target = world.vault() / 'x'
    ranges = [(100, 100), (200, 300), (5000, 10), (0, 100)]
    job = ranges_job(world, url, target, ranges)
    job.resume()
    job.wait('transferred')
    assert asked(world, url) == ['bytes=100-499', 'bytes=5000-5009', 'bytes=0-99']
    requests = world.server.seen(world.path_of(url))
    assert len({request.connection for request in requests}) == 1
    assert job.complete() == 0
    assert target.read_bytes() == expected(world.bytes(url), ranges)


# RNG-172, RNG-173, RNG-174, RNG-176
@pytest.mark.parametrize('ranges, error', [
    ([], 'InvalidArgument'),
    ([(0, 10), (5, 1)], 'OverlappingRanges'),
    ([(0, 10), (0, 10)], 'OverlappingRanges'),
    ([(10, TO_END), (20, 1)], 'OverlappingRanges'),
    ([(TO_END, 1)], 'InvalidRange'),
    ([(TO_END, TO_END)], 'InvalidRange'),
    ([(2 ** 63, 1)], 'InvalidRange'),
    ([(1, 2 ** 63)], 'InvalidRange'),
    ([(5, 0)], 'InvalidRange'),
    ([(5, 0), (5, 10)], 'OverlappingRanges'),
], ids=str)
def test_ranges_that_make_no_sense_are_refused(world, ranges, error):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as failure:
        job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', ranges)
    assert failure.value.short == error
    assert job.files() == []


# RNG-176
def test_number_of_ranges_is_limited_for_people(world, root_playground):
    job = world.manager().create()
    ranges = [(2 * i, 1) for i in range(501)]
    with pytest.raises(bus.BusError) as failure:
        job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', ranges)
    assert failure.value.short == 'TooManyRangesInFile'
    job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', ranges[:500])
    job = world.manager(0).create()
    job.add_ranges('http://127.0.0.1/x', world.vault(0) / 'x', ranges)
    assert job.file().ranges() == ranges


# NET-170, NET-171, NET-172, NET-173
@pytest.mark.parametrize('ranges, fields, code', [
    ([(10, 10)], {'ranges': False}, 0x80200013),
    ([(0, 1000)], {'ranges': False}, 0x80200013),
    ([(1000, 1)], {}, 0x8020002b),
    ([(990, 11)], {}, 0x8020002b),
    ([(5000, TO_END)], {}, 0x8020002b),
    ([(0, 5), (995, 10)], {}, 0x8020002b),
    ([(10, 10)], {'range_lie': 1}, 0x8020001b),
    ([(10, 10)], {'range_more': 1}, 0x8020001b),
    ([(10, 10), (30, 10)], {'range_more': 20}, 0x8020001b),
    ([(10, 10)], {'raw': 'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Type: '
                         'multipart/byteranges; boundary=x\r\n\r\n--x'}, 0x8020001b),
], ids=str)
def test_what_only_the_server_can_tell_is_fatal(world, ranges, fields, code):
    url = world.put(1000, **fields)
    target = world.vault() / 'x'
    job = ranges_job(world, url, target, ranges)
    job.resume()
    job.wait('error')
    fault = job.error()
    assert (fault.code, fault.context) == (code, bus.CONTEXT_REMOTE_FILE)
    assert fault.text and fault.remote_name == url
    assert not target.exists()


# RNG-179, DUR-170
@pytest.mark.parametrize('victim', ['net', 'file', 'bitsd'])
def test_ranges_go_on_inside_a_range_after_a_kill(world, victim):
    ranges = [(4 * MIB, 2 * MIB), (0, 2 * MIB), (7 * MIB, TO_END)]
    url = world.put(8 * MIB, stall_after=MIB)
    target = world.vault() / 'x'
    job = ranges_job(world, url, target, ranges)
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB, 'a MiB')
    if victim == 'bitsd':
        job.suspend()
        bus.poll_until(lambda: world.kept(job) >= MIB, 'it to be kept')
        world.restart('bitsd')
        job = world.manager().job(job.id)
        job.resume()
    else:
        assert world.playground.kill(f'bits-{victim}', 9)
        if victim == 'file':
            job.suspend()
            job.resume()
    world.server.release(world.path_of(url))
    job.wait('transferred')
    # What has arrived of the first range is not fetched again, unless a sync was lost with bits-file.
    begins = [int(header.removeprefix('bytes=').split('-')[0]) for header in asked(world, url)]
    assert victim == 'file' or any(4 * MIB < begin < 6 * MIB for begin in begins)
    assert job.complete() == 0
    assert target.read_bytes() == expected(world.bytes(url), ranges)


# RNG-179
def test_another_version_between_two_ranges_starts_the_file_over(world):
    ranges = [(100, 100), (500, 100), (0, 50)]
    url = world.put(1000, change_at=3)
    target = world.vault() / 'x'
    job = ranges_job(world, url, target, ranges)
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == expected(world.bytes(url, version=2), ranges)


# RNG-176
def test_dynamic_content_and_ranges_exclude_each_other(world):
    job = world.manager().create()
    job.set('DynamicContent', True, 'b')
    with pytest.raises(bus.BusError) as failure:
        job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', [(0, 1)])
    assert failure.value.short == 'UnsupportedJobConfiguration'
    job = world.manager().create()
    job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', [(0, 1)])
    for name in ('DynamicContent', 'OnDemandMode'):
        with pytest.raises(bus.BusError) as failure:
            job.set(name, True, 'b')
        assert failure.value.short == 'UnsupportedJobConfiguration'
