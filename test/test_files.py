"""The File interface, on-demand downloads, and the properties of a job that are about its files.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os

import pytest

import bus

KIB, MIB = 1 << 10, 1 << 20
TO_END = 2 ** 64 - 1
RANGES_TRANSFERRED = 0x20


def refused(error, call, *arguments):
    with pytest.raises(bus.BusError) as failure:
        call(*arguments)
    assert failure.value.short == error


def asked(world, url):
    return [request.headers.get('range', '') for request in world.server.seen(world.path_of(url))]


def told(job, index=0):
    """All ranges of which FileRangesTransferred has spoken, sorted and merged."""
    merged = []
    found = sorted(tuple(r) for s in job.bus.signals
                   if s.member == 'FileRangesTransferred' and s.path == job.path
                   and s.body[0] == index for r in s.body[1])
    for begin, length in found:
        if merged and merged[-1][0] + merged[-1][1] >= begin:
            merged[-1][1] = max(merged[-1][1], begin + length - merged[-1][0])
        else:
            merged.append([begin, length])
    return [tuple(r) for r in merged]


def read(path, begin, length):
    with open(path, 'rb') as file:
        file.seek(begin)
        return file.read(length)


# ---- the interface ----

# RNG-177, RNG-178
def test_a_file_says_what_it_is(world, nginx):
    content = os.urandom(5000)
    url = nginx.publish('a.bin', content)
    target = world.vault() / 'a.bin'
    job = world.manager().create()
    job.add(url, target)
    file = job.file()
    assert file.get('RemoteName') == url
    assert file.get('LocalName') == str(target)
    temporary = file.get('TemporaryName')
    assert os.path.dirname(temporary) == str(target.parent) and not os.path.exists(temporary)
    assert file.ranges() == []
    assert file.progress == (bus.SIZE_UNKNOWN, 0, False)
    assert file.get('ValidationState') is False and file.get('DownloadedFromPeer') is False
    assert file.get('ResponseHeaders') == ''
    job.resume()
    job.wait('transferred')
    assert file.get('ResponseHeaders').startswith('HTTP/1.1 200 OK')
    assert 'Content-Length: 5000' in file.get('ResponseHeaders')
    assert file.progress == (5000, 5000, False)
    assert read(temporary, 0, 5000) == content
    assert file.call('GetPeerDownloadStats') == (5000, 0)
    assert job.complete() == 0
    assert file.progress == (5000, 5000, True)      # who holds the job may still look
    refused('InvalidState', file.call, 'SetRemoteName', 's', url)


# RNG-177
def test_a_file_that_is_not_there_is_no_object(world):
    job = world.manager().create()
    job.add('http://127.0.0.1/x', world.vault() / 'x')
    for path in ('/file/1', '/file/', '/file/00', '/file/-1', '/file/0x0', '/file', '/file/0/1',
                 '/file/99999999999999999999'):
        if path.endswith('/'):
            continue    # no object path at all
        with pytest.raises(bus.BusError):
            bus.File(job.bus, job.path + path.replace('-', '_')).get('RemoteName')


# RNG-177, SEC-62
def test_files_of_others_do_not_exist(world, root_playground):
    job = world.manager().create()
    job.add('http://127.0.0.1/x', world.vault() / 'x')
    stranger = bus.File(world.manager(world.bob).bus, job.path + '/file/0')
    refused('UnknownObject', stranger.get, 'RemoteName')
    refused('UnknownObject', stranger.call, 'SetRemoteName', 's', 'http://127.0.0.1/y')


# RNG-177
def test_a_handle_serves_the_files_too(world):
    job = world.manager().create()
    job.add('http://127.0.0.1/x', world.vault() / 'x')
    connection = world.handle(job.query_interface(bus.FILE))
    file = bus.Job(connection, job.path).file()
    assert file.get('RemoteName') == 'http://127.0.0.1/x'
    file.call('SetRemoteName', 's', 'http://127.0.0.1/y')
    assert job.file().get('RemoteName') == 'http://127.0.0.1/y'
    refused('UnknownObject', bus.Job(connection, job.path).file(1).get, 'RemoteName')


# ---- names ----

# RNG-181
def test_a_download_goes_on_at_another_place_that_has_the_same(world):
    old = world.put(4 * MIB, name='twin', stall_after=MIB)
    new = world.put(4 * MIB, name='twin', etag='')
    target = world.vault() / 'x'
    job = world.start(old, target)
    world.server.wait_stalled(world.path_of(old))
    job.wait_until(lambda: job.progress.transferred >= MIB, 'a MiB')
    job.file().call('SetRemoteName', 's', new)
    job.wait('transferred')
    assert asked(world, new)[0].startswith('bytes=1')
    assert job.files()[0].remote_name == new
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(new)


# RNG-181
@pytest.mark.parametrize('fields', [{'version': 2}, {'last_modified': False}, {'ranges': False},
                                    {'size': 3 * MIB}], ids=str)
def test_where_it_does_not_fit_the_file_begins_anew(world, fields):
    old = world.put(4 * MIB, name='twin', stall_after=MIB)
    new = world.put(**{'size': 4 * MIB, 'name': 'twin', **fields})
    target = world.vault() / 'x'
    job = world.start(old, target)
    world.server.wait_stalled(world.path_of(old))
    job.wait_until(lambda: job.progress.transferred >= MIB, 'a MiB')
    job.file().call('SetRemoteName', 's', new)
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(new)


# RNG-181
def test_a_new_name_survives_and_repairs_a_job(world):
    job = world.start(world.put(1000, status=404), world.vault() / 'x')
    good = world.put(1000)
    job.wait('error')
    job.file().call('SetRemoteName', 's', good)
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.file().get('RemoteName') == good and job.state == 'error'
    job.resume()
    job.wait('transferred')
    for wrong in ('', 'x', 'ftp://h/x', 'http://h/a b', 'http://h/' + 'x' * 2200):
        refused('InvalidArgument', job.file().call, 'SetRemoteName', 's', wrong)
    job.file().call('SetRemoteName', 's', 'http://127.0.0.1/elsewhere')
    assert job.state == 'transferred' and job.complete() == 0


# RNG-182
def test_prefixes_are_replaced_in_all_names_or_in_none(world):
    job = world.manager().create()
    vault = world.vault()
    names = ['http://old.example/a/1', 'http://old.example/a/2', 'http://OLD.example/a/3']
    job.add_all([(name, vault / str(i)) for i, name in enumerate(names)])

    def replace(old, new):
        return job.call('ReplaceRemotePrefix', 'ss', old, new)
    assert replace('http://none.example/', 'http://new.example/') == 1
    assert [f.remote_name for f in job.files()] == names
    assert replace('http://old.example/', 'https://new.example/') == 0
    assert [f.remote_name for f in job.files()] == [
        'https://new.example/a/1', 'https://new.example/a/2', names[2]]
    refused('InvalidArgument', replace, 'https://new.example/a/', 'gopher://')
    refused('InvalidArgument', replace, '', 'x')
    refused('InvalidArgument', replace, 'https://new.example/a/', 'http://h/' + 'x' * 2191)
    assert [f.remote_name for f in job.files()][2] == names[2]
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.files()[0].remote_name == 'https://new.example/a/1'
    job.cancel()
    refused('InvalidState', job.call, 'ReplaceRemotePrefix', 'ss', 'a', 'b')


# ---- validation ----

# RNG-197
def test_validation(world):
    url = world.put(100 * KIB, stall_after=KIB)
    target = world.vault() / 'x'
    job = world.start(url, target)
    file = job.file()
    world.server.wait_stalled(world.path_of(url))
    refused('Pending', file.call, 'SetValidationState', 'b', True)
    refused('Pending', file.call, 'SetValidationState', 'b', False)
    world.server.release(world.path_of(url))
    job.wait('transferred')
    file.call('SetValidationState', 'b', True)
    assert file.get('ValidationState') is True and job.state == 'transferred'
    file.call('SetValidationState', 'b', False)
    assert file.get('ValidationState') is False and job.state == 'error'
    fault = job.error()
    assert (fault.code, fault.remote_name) == (0x80200053, url)
    assert job.progress.transferred == 0 and job.progress.files_transferred == 0
    refused('Pending', file.call, 'SetValidationState', 'b', True)
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'error' and job.progress.transferred == 0
    job.resume()
    job.wait('transferred')
    assert len(asked(world, url)) == 2
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# ---- properties ----

# RNG-183, RNG-185, RNG-186
def test_properties_have_their_time(world):
    manager = world.manager()
    job = manager.create()
    for name, default in (('DynamicContent', False), ('HighPerformance', False),
                          ('OnDemandMode', False), ('MaxDownloadSize', TO_END),
                          ('PeerCachingFlags', 0)):
        assert job.get(name) == default
    refused('MaxDownloadSizeInvalidValue', job.set, 'MaxDownloadSize', 0, 't')
    job.set('MaxDownloadSize', TO_END, 't')
    job.set('MaxDownloadSize', 5, 't')
    job.set('HighPerformance', True, 'b')
    job.set('PeerCachingFlags', 7)
    refused('InvalidArgument', job.set, 'PeerCachingFlags', 8)
    job.add(world.put(10, stall_after=1), world.vault() / 'x')
    refused('ReadOnlyPropertyAfterAddfile', job.set, 'HighPerformance', False, 'b')
    job.set('DynamicContent', True, 'b')
    refused('UnsupportedJobConfiguration', job.set, 'OnDemandMode', True, 'b')
    job.resume()
    refused('ReadOnlyPropertyAfterResume', job.set, 'DynamicContent', False, 'b')
    refused('ReadOnlyPropertyAfterResume', job.set, 'MaxDownloadSize', 6, 't')
    job.suspend()
    world.restart('bitsd')
    job = world.manager().job(job.id)
    refused('ReadOnlyPropertyAfterResume', job.set, 'MaxDownloadSize', 6, 't')
    assert [job.get(name) for name in ('DynamicContent', 'HighPerformance', 'MaxDownloadSize',
                                       'PeerCachingFlags')] == [True, True, 5, 7]


# RNG-184
def test_dynamic_content_needs_no_length_and_begins_anew(world):
    url = world.put(MIB, framing='chunked', etag='strong', stall_after=300 * KIB)
    target = world.vault() / 'x'
    job = world.manager().create()
    job.set('DynamicContent', True, 'b')
    job.add(url, target)
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= 100 * KIB, 'some bytes')
    job.suspend()
    job.resume()
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert asked(world, url) == ['', '']
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# RNG-185
@pytest.mark.parametrize('framing', ['length', 'chunked', 'close'])
@pytest.mark.parametrize('limit, reached', [(1000, False), (999, True), (1, True)])
def test_a_job_gets_no_more_than_its_limit(world, framing, limit, reached):
    url = world.put(1000, framing=framing)
    target = world.vault() / 'x'
    job = world.manager().create()
    job.set('MaxDownloadSize', limit, 't')
    job.add(url, target)
    job.resume()
    if not reached:
        job.wait('transferred')
        assert job.complete() == 0
        assert target.read_bytes() == world.bytes(url)
        return
    job.wait('error')
    assert job.error().code == 0x80200064
    assert job.progress.transferred <= limit


# RNG-185
def test_files_of_the_machine_are_measured_before_they_are_copied(world):
    vault = world.vault()
    source = vault / 'source'
    source.write_bytes(os.urandom(1000))
    os.chown(source, world.alice, -1)
    for limit, state in ((1000, 'transferred'), (999, 'error')):
        job = world.manager().create()
        job.set('MaxDownloadSize', limit, 't')
        job.add(f'file://{source}', vault / 'copy')
        job.resume()
        job.wait(state)
    assert job.error().code == 0x80200064 and job.progress.transferred == 0


# RNG-185
def test_the_limit_is_for_all_files_together(world):
    vault = world.vault()
    job = world.manager().create()
    job.set('MaxDownloadSize', 2500, 't')
    job.add_all([(world.put(1000, framing='chunked'), vault / str(i)) for i in range(3)])
    job.resume()
    job.wait('error')
    assert job.error().code == 0x80200064
    assert 2000 <= job.progress.transferred <= 2500
    assert job.progress.files_transferred == 2
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert sorted(os.listdir(vault)) == ['0', '1']


# RNG-186
def test_high_performance_arrives_whole_and_only_at_complete(world, nginx):
    content = os.urandom(2 * MIB)
    url = nginx.publish('a.bin', content)
    target = world.vault() / 'a.bin'
    job = world.manager().create()
    job.set('HighPerformance', True, 'b')
    job.add(url, target)
    job.resume()
    job.wait('transferred')
    assert not target.exists()
    assert job.complete() == 0
    assert target.read_bytes() == content


# ---- random access ----

def on_demand(world, url, target):
    job = world.manager().create()
    job.set('OnDemandMode', True, 'b')
    job.set('NotifyFlags', RANGES_TRANSFERRED)
    job.add(url, target)
    return job


# RNG-191, RNG-193, RNG-194, RNG-195
def test_on_demand_fetches_what_is_asked_for(world, nginx):
    content = os.urandom(8 * MIB)
    url = nginx.publish('film.bin', content)
    target = world.vault() / 'film.bin'
    job = on_demand(world, url, target)
    file = job.file()
    file.request((5 * MIB, MIB), (5 * MIB + 10, 100), (0, 1000))
    job.resume()
    job.wait_until(lambda: job.state == 'suspended', 'the service to suspend it')
    assert file.filled() == [(0, 1000), (5 * MIB, MIB)]
    job.wait_until(lambda: told(job) == file.filled(), 'the news of it')
    assert file.progress == (8 * MIB, MIB + 1000, False)
    temporary = file.get('TemporaryName')
    assert read(temporary, 5 * MIB, MIB) == content[5 * MIB:6 * MIB]
    assert read(temporary, 0, 1000) == content[:1000]
    world.restart('bitsd')
    job = world.manager().job(job.id)
    file = job.file()
    assert file.filled() == [(0, 1000), (5 * MIB, MIB)]
    job.resume()
    job.wait_until(lambda: job.state == 'suspended', 'it to find that nothing is missing')
    refused('InvalidRange', file.request, (8 * MIB, 1))
    refused('InvalidRange', file.request, (8 * MIB - 1, 2))
    file.request((0, TO_END))
    job.resume()
    job.wait('transferred')
    assert file.filled() == [(0, 8 * MIB)]
    assert job.complete() == 0
    assert target.read_bytes() == content


# RNG-191
def test_on_demand_of_several_files_rests_when_all_are_served(world, nginx):
    vault = world.vault()
    contents = [os.urandom(100 * KIB) for _ in range(3)]
    job = world.manager().create()
    job.set('OnDemandMode', True, 'b')
    job.add_all([(nginx.publish(f'{i}', c), vault / str(i)) for i, c in enumerate(contents)])
    job.file(0).request((0, TO_END))
    job.file(2).request((50 * KIB, 10))
    job.resume()
    job.wait_until(lambda: job.state == 'suspended', 'it to rest')
    assert [f.transferred for f in job.files()] == [100 * KIB, 0, 10]
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert os.listdir(vault) == ['0']
    assert (vault / '0').read_bytes() == contents[0]


# RNG-190, RNG-193
def test_a_reader_who_jumps_is_followed(world):
    url = world.put(40 * MIB, stall_after=2 * MIB)
    target = world.vault() / 'x'
    job = world.start(url, target)
    file = job.file()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= 2 * MIB, '2 MiB')
    file.call('UpdateDownloadPosition', 't', 30 * MIB)
    requests = world.server.wait_requests(world.path_of(url), 2)
    assert requests[1].headers['range'] == f'bytes={30 * MIB}-{40 * MIB - 1}'
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert asked(world, url)[2].startswith('bytes=2')     # what had come before is not fetched again
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# RNG-190
def test_requested_ranges_come_first_in_an_ordinary_download(world):
    url = world.put(20 * MIB, stall_after=MIB)
    target = world.vault() / 'x'
    job = world.start(url, target)
    job.set('NotifyFlags', RANGES_TRANSFERRED | 3)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB, 'a MiB')
    job.file().request((15 * MIB, 100), (10 * MIB, 200))
    requests = world.server.wait_requests(world.path_of(url), 3)
    assert [r.headers['range'] for r in requests[1:3]] == [
        f'bytes={10 * MIB}-{10 * MIB + 199}', f'bytes={15 * MIB}-{15 * MIB + 99}']
    world.server.release(world.path_of(url))
    job.wait('transferred')
    job.wait_until(lambda: told(job) == [(0, 20 * MIB)], 'the news of it')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# RNG-192, RNG-196
def test_random_access_where_there_is_none(world):
    plain = world.put(MIB, ranges=False, etag='', last_modified=False, stall_after=KIB)
    job = world.start(plain, world.vault() / 'x')
    world.server.wait_stalled(world.path_of(plain))
    job.wait_until(lambda: job.progress.transferred > 0, 'a byte')
    for call, *arguments in (('RequestFileRanges', 'a(tt)', [(0, 1)]), ('GetFilledFileRanges',),
                             ('UpdateDownloadPosition', 't', 5)):
        refused('RandomAccessNotSupported', job.file().call, call, *arguments)
    job = world.manager().create()
    job.add_ranges('http://127.0.0.1/x', world.vault() / 'x', [(0, 10)])
    refused('RandomAccessNotSupported', job.file().request, (0, 1))
    job = world.manager().create()
    job.add('http://127.0.0.1/x', world.vault() / 'x')
    for wrong, error in (([], 'InvalidArgument'), ([(5, 0)], 'InvalidRange'),
                         ([(TO_END, 1)], 'InvalidRange'), ([(1, 2 ** 63)], 'InvalidRange')):
        refused(error, job.file().call, 'RequestFileRanges', 'a(tt)', wrong)
    job.set('DynamicContent', True, 'b')
    refused('RandomAccessNotSupported', job.file().request, (0, 1))


# RNG-192
def test_files_of_the_machine_come_whole(world):
    vault = world.vault()
    job = world.manager().create()
    refused('InvalidArgument', job.add_ranges, f'file://{vault}/a', vault / 'b', [(0, 1)])
    job.add(f'file://{vault}/a', vault / 'b')
    refused('RandomAccessNotSupported', job.file().request, (0, 1))
    refused('UnsupportedJobConfiguration', job.set, 'OnDemandMode', True, 'b')
    job = world.manager().create()
    job.set('OnDemandMode', True, 'b')
    refused('UnsupportedJobConfiguration', job.add, f'file://{vault}/a', vault / 'b')


# RNG-192
def test_on_demand_needs_a_server_with_ranges(world):
    job = on_demand(world, world.put(1000, ranges=False), world.vault() / 'x')
    job.file().request((0, 10))
    job.resume()
    job.wait('error')
    assert job.error().code == 0x80200013


# RNG-196
def test_a_request_that_the_server_cannot_serve_is_told_once(world):
    job = on_demand(world, world.put(1000), world.vault() / 'x')
    job.file().request((5000, 10))
    job.resume()
    job.wait('error')
    assert job.error().code == 0x8020002b
    job.resume()
    job.wait_until(lambda: job.state == 'suspended', 'nothing to be asked for any more')


# RNG-193, DUR-170
@pytest.mark.parametrize('victim', ['bits-net', 'bits-file', 'bitsd'])
def test_pieces_survive_a_kill(world, victim):
    url = world.put(16 * MIB, rate=40 * MIB)
    target = world.vault() / 'x'
    job = on_demand(world, url, target)
    job.file().request(*[(position, MIB // 2) for position in range(15 * MIB, 0, -3 * MIB)])
    job.resume()
    job.wait_until(lambda: job.progress.transferred >= MIB, 'a MiB')
    if victim == 'bitsd':
        world.restart('bitsd')
        job = world.manager().job(job.id)
    else:
        world.playground.kill(victim)
    job.wait_until(lambda: job.state == 'suspended', 'it to rest')
    content, temporary = world.bytes(url), job.file().get('TemporaryName')
    filled = job.file().filled()
    assert sum(length for _, length in filled) == 5 * MIB // 2
    for begin, length in filled:
        assert read(temporary, begin, length) == content[begin:begin + length]
    job.set('OnDemandMode', False, 'b')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == content


# RNG-193
def test_another_version_empties_the_pieces(world):
    url = world.put(MIB, change_at=3)
    target = world.vault() / 'x'
    job = on_demand(world, url, target)
    job.file().request((0, 100), (1000, 100), (5000, 100))
    job.resume()
    job.wait_until(lambda: job.state == 'suspended', 'it to rest')
    temporary = job.file().get('TemporaryName')
    for begin, length in job.file().filled():
        assert read(temporary, begin, length) == world.bytes(url, 2)[begin:begin + length]
    assert job.progress.transferred == 300
