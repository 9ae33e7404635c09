"""Ranges, random access and single files through the library and the command `bits`.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import json
import os

import pytest

from test_cli import bits as command            # noqa: F401
from test_library import Failure, as_alice, bits, opened  # noqa: F401
from test_library import SUSPENDED, TRANSFERRED, ERROR

KIB = 1 << 10
TO_END = 2 ** 64 - 1


@pytest.fixture
def library(bits):    # noqa: F811
    return bits


class Range(ctypes.Structure):
    _fields_ = [('offset', ctypes.c_uint64), ('length', ctypes.c_uint64)]


class FileProgress(ctypes.Structure):
    _fields_ = [('total', ctypes.c_uint64), ('transferred', ctypes.c_uint64),
                ('completed', ctypes.c_int)]


def ranges(*pairs):
    return (Range * len(pairs))(*pairs), ctypes.c_size_t(len(pairs))


def read_ranges(library, name, file):
    """(result, ranges)"""
    found, count = ctypes.POINTER(Range)(), ctypes.c_size_t(7)
    r = library(name, file, ctypes.byref(found), ctypes.byref(count))
    return r, [(found[i].offset, found[i].length) for i in range(count.value)]


def text(library, name, file):
    found = ctypes.c_char_p()
    library(name, file, ctypes.byref(found))
    return found.value.decode()


def new_job(world, library, opened):
    with as_alice(world):
        return library.new('manager_create_job', opened, b'parts', 0)


def code_of(call, *arguments):
    with pytest.raises(Failure) as failure:
        call(*arguments)
    assert failure.value.message
    return failure.value.code


# ---- the library ----

# LIB-170
def test_library_ranges(world, library, opened):
    url, target = world.put(1000), world.vault() / 'x'
    job = new_job(world, library, opened)
    names = url.encode(), str(target).encode()
    for wrong, code in ((ranges(), 0x80070057), (ranges((0, 5), (4, 1)), 0x8020002c),
                        (ranges((TO_END, 1)), 0x8020002b)):
        assert code_of(library, 'job_add_file_with_ranges', job, *names, *wrong) == code
    library('job_add_file_with_ranges', job, *names, *ranges((500, 10), (0, 5), (990, TO_END)))
    assert code_of(library.new, 'job_get_file', job, ctypes.c_uint32(1)) == 0x80200001
    file = library.new('job_get_file', job, ctypes.c_uint32(0))
    assert read_ranges(library, 'file_get_ranges', file) == (0, [(500, 10), (0, 5), (990, TO_END)])
    assert code_of(read_ranges, library, 'file_get_filled_ranges', file) == 0x8020006d
    library('job_resume', job)
    assert library.wait(job) == TRANSFERRED
    progress = FileProgress()
    library('file_get_progress', file, ctypes.byref(progress))
    assert (progress.total, progress.transferred, progress.completed) == (25, 25, 0)
    library('job_complete', job, None)
    content = world.bytes(url)
    assert target.read_bytes() == content[500:510] + content[:5] + content[990:]
    library.lib.bits_file_free(file)
    library.lib.bits_job_free(job)


# LIB-170
def test_library_random_access(world, library, opened):
    url, target = world.put(100 * KIB), world.vault() / 'x'
    job = new_job(world, library, opened)
    library('job_set_on_demand_mode', job, 1)
    assert library.number('job_get_on_demand_mode', job, ctypes.c_int) == 1
    library('job_add_file', job, url.encode(), str(target).encode())
    file = library.new('job_get_file', job, ctypes.c_uint32(0))
    assert read_ranges(library, 'file_get_ranges', file) == (1, [])
    library('file_request_ranges', file, *ranges((50 * KIB, 100), (50 * KIB + 50, 100)))
    library('job_resume', job)
    assert library.wait(job) == SUSPENDED
    assert read_ranges(library, 'file_get_filled_ranges', file) == (0, [(50 * KIB, 150)])
    with open(text(library, 'file_get_temporary_name', file), 'rb') as temporary:
        temporary.seek(50 * KIB)
        assert temporary.read(150) == world.bytes(url)[50 * KIB:50 * KIB + 150]
    assert code_of(library, 'file_update_download_position', file,
                   ctypes.c_uint64(100 * KIB)) == 0x8020002b
    library('file_update_download_position', file, ctypes.c_uint64(99 * KIB))
    assert code_of(library, 'file_set_validation_state', file, 1) == 0x8000000a
    library('job_set_on_demand_mode', job, 0)
    library('job_resume', job)
    assert library.wait(job) == TRANSFERRED
    library('file_set_validation_state', file, 1)
    assert library.number('file_get_validation_state', file, ctypes.c_int) == 1
    assert library.number('file_is_downloaded_from_peer', file, ctypes.c_int) == 0
    origin, peers = ctypes.c_uint64(), ctypes.c_uint64(1)
    library('file_get_peer_download_stats', file, ctypes.byref(origin), ctypes.byref(peers))
    assert (origin.value, peers.value) == (100 * KIB, 0)
    library('file_set_validation_state', file, 0)
    assert library.wait(job) == ERROR
    library.lib.bits_file_free(file)
    library.lib.bits_job_free(job)


# LIB-170
def test_library_names_and_properties(world, library, opened):
    job = new_job(world, library, opened)
    library('job_add_file', job, b'http://old.example/a', str(world.vault() / 'x').encode())
    file = library.new('job_get_file', job, ctypes.c_uint32(0))
    library('file_set_remote_name', file, b'https://other.example/b')
    assert text(library, 'file_get_remote_name', file) == 'https://other.example/b'
    assert text(library, 'file_get_local_name', file).endswith('/x')
    assert library('job_replace_remote_prefix', job, b'http://none/', b'http://new/') == 1
    assert library('job_replace_remote_prefix', job, b'https://other.', b'http://new.') == 0
    assert text(library, 'file_get_remote_name', file) == 'http://new.example/b'
    assert code_of(library, 'file_set_remote_name', file, b'\xff') == 0x80070057
    assert code_of(library, 'job_set_high_performance', job, 1) == 0x80200061
    assert code_of(library, 'job_set_max_download_size', job, ctypes.c_uint64(0)) == 0x80200063
    for name, kind, value in (('dynamic_content', ctypes.c_int, 1),
                              ('max_download_size', ctypes.c_uint64, 1 << 40),
                              ('peer_caching_flags', ctypes.c_uint32, 5)):
        library(f'job_set_{name}', job, kind(value))
        assert library.number(f'job_get_{name}', job, kind) == value
    assert library.number('job_get_high_performance', job, ctypes.c_int) == 0
    library.lib.bits_file_free(file)
    library.lib.bits_job_free(job)


# ---- the command ----

# CLI-170
def test_get_a_part(world, command):
    url, target = world.put(10 * KIB), world.vault() / 'x'
    command('get', '--range', '5K:100,0:10', '--range', '10200:', url, target)
    content = world.bytes(url)
    assert target.read_bytes() == content[5120:5220] + content[:10] + content[10200:]


# CLI-170
@pytest.mark.parametrize('wrong', ['', '5', '5:1,', 'x:1', '1:x', '1-5', '1:5x', ':5', '-1:5',
                                   '99999999999999999999:1', '20000000T:1'])
def test_ranges_that_are_none(world, command, wrong):
    result = command('get', '--range', wrong, 'http://127.0.0.1/x', world.vault() / 'x', status=2)
    assert 'OFFSET:LENGTH' in result.stderr


# CLI-170
def test_what_the_service_says_of_ranges_is_told(world, command):
    result = command('get', '--range', '0:5,3:1', 'http://127.0.0.1/x', world.vault() / 'x',
                     status=1)
    assert 'overlap' in result.stderr and 'BG_E_OVERLAPPING_RANGES' in result.stderr


# CLI-171
def test_get_goes_on_with_the_job_that_wants_the_same(world, command):
    url, target = world.put(1000, stall_after=10), world.vault() / 'x'
    first = command('get', '--detach', '--range', '0:500', url, target).stdout.split()[0]
    other = command('get', '--detach', url, target).stdout.split()[0]
    again = command('get', '--detach', '--range', '0:500', url, target).stdout.split()[0]
    assert first == again != other


# CLI-172
def test_add_a_part_and_limit_the_job(world, command):
    url, target = world.put(1000), world.vault() / 'x'
    job = command('create', '--max-size', '2K', 'parts').stdout.strip()
    command('add', '--range', '10:5', job, url, target)
    assert json.loads(command('show', '--json', job).stdout)['jobs'][0]['max-download-size'] == \
        '2048'
    command('resume', job)
    command('wait', job)
    command('complete', job)
    assert target.read_bytes() == world.bytes(url)[10:15]
    command('add', '--range', '10:5', '--from', os.devnull, job, status=2)


# CLI-172
def test_get_with_a_limit(world, command):
    url, target = world.put(1000, framing='chunked'), world.vault() / 'x'
    result = command('get', '--dynamic', '--max-size', '999', url, target, status=1)
    assert 'BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED' in result.stderr
    assert not target.exists()
    command('get', '--dynamic', '--max-size', '1000', url, world.vault() / 'y')
    for wrong in ('0', 'x', '-1', '1X', '1KK'):
        command('get', '--max-size', wrong, url, target, status=2)


# CLI-173
def test_set_and_show_the_properties_of_files(world, command):
    job = command('create').stdout.strip()
    for key, value, shown in (('dynamic-content', 'yes', 'true'),
                              ('high-performance', 'yes', 'true'),
                              ('max-download-size', '3M', str(3 << 20)),
                              ('peer-caching-flags', '3', '3')):
        command('set', job, f'{key}={value}')
        assert command('show', job, key).stdout.strip() == shown
    command('set', job, 'max-download-size=unlimited')
    assert command('show', job, 'max-download-size').stdout.strip() == 'unlimited'
    result = command('set', job, 'on-demand-mode=yes', status=1)
    assert 'BG_E_UNSUPPORTED_JOB_CONFIGURATION' in result.stderr
    command('set', job, 'max-download-size=much', status=2)
