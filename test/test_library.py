"""The C library against the real service, called through ctypes, and the example program.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import glob
import os
import pathlib
import re
import resource
import select
import subprocess
import threading

import pytest

import bus
import conftest
import playground_lib
from bits_server import BitsServer

SOURCE = pathlib.Path(__file__).resolve().parent.parent
TRANSFERRED, ERROR, SUSPENDED = 6, 4, 3
EVENT_TRANSFERRED, EVENT_MODIFICATION, EVENT_GONE = 0, 2, 3
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(f'0x{code:08X} {message}')
        self.code, self.message = code, message


class Library:
    """Calls of libopenbits that raise Failure."""

    def __init__(self):
        self.lib = conftest.load_library()
        self.lib.bits_error_code.restype = ctypes.c_uint32
        self.lib.bits_error_message.restype = ctypes.c_char_p
        self.lib.bits_job_id.restype = ctypes.c_char_p
        self.lib.bits_job_id.argtypes = [ctypes.c_void_p]
        for name in ('bits_manager_close', 'bits_job_free', 'bits_token_options_free'):
            getattr(self.lib, name).restype = None
            getattr(self.lib, name).argtypes = [ctypes.c_void_p]

    def __call__(self, name, *arguments):
        r = getattr(self.lib, 'bits_' + name)(*arguments)
        if r < 0:
            raise Failure(self.lib.bits_error_code(), self.lib.bits_error_message().decode())
        return r

    def new(self, name, *arguments):
        """A call with an object as its last argument."""
        result = ctypes.c_void_p()
        self(name, *arguments, ctypes.byref(result))
        return result

    def number(self, name, job, kind=ctypes.c_uint32):
        result = kind()
        self(name, job, ctypes.byref(result))
        return result.value

    def wait(self, job, seconds=30):
        """The state that ends the waiting, None when the time was over."""
        state = ctypes.c_int()
        arrived = self('job_wait', job, ctypes.c_uint64(seconds * 1000000), ctypes.byref(state))
        return state.value if arrived else None

    def id(self, job):
        return self.lib.bits_job_id(job).decode()


@pytest.fixture
def bits(world, monkeypatch):
    for name in ('DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS'):
        if name in world.playground.environment:
            monkeypatch.setenv(name, world.playground.environment[name])
    return Library()


@pytest.fixture
def opened(world, bits):
    """A manager of alice."""
    with as_alice(world):
        manager = bits.new('manager_open' if world.root else 'manager_open_user')
    yield manager
    bits.lib.bits_manager_close(manager)


@contextlib.contextmanager
def as_alice(world):
    with bus.impersonate(world.alice) if world.root else contextlib.nullcontext():
        yield


def start(world, bits, manager, url, target, name=b'library'):
    with as_alice(world):
        job = bits.new('manager_create_job', manager, name, 0)
    bits('job_add_file', job, url.encode(), str(target).encode())
    bits('job_resume', job)
    return job


def test_from_create_to_complete(world, bits, opened):
    """LIB-01: a download with nothing but the public header's functions."""
    url, target = world.put(500_000), world.vault() / 'file'
    job = start(world, bits, opened, url, target)
    assert bits.wait(job) == TRANSFERRED
    assert not target.exists()
    code = ctypes.c_uint32(1)
    bits('job_complete', job, ctypes.byref(code))
    assert code.value == 0
    assert target.read_bytes() == world.bytes(url)
    bits.lib.bits_job_free(job)


def test_the_first_job_presents_its_owner(root_world, bits):
    """LIB-09: an account that the broker never saw needs no preparation."""
    world = root_world
    assert world.carol not in world.playground.presented
    url, target = world.put(1000), world.vault(uid=world.carol) / 'file'
    with bus.impersonate(world.carol):
        manager = bits.new('manager_open')
        job = bits.new('manager_create_job', manager, b'first', 0)
    bits('job_add_file', job, url.encode(), str(target).encode())
    bits('job_resume', job)
    assert bits.wait(job) == TRANSFERRED
    bits.lib.bits_job_free(job)
    bits.lib.bits_manager_close(manager)


def test_errors_have_numbers_and_words(world, bits, opened):
    """LIB-02"""
    with pytest.raises(Failure) as caught:
        bits.new('manager_get_job', opened, b'01234567-89ab-cdef-0123-456789abcdef')
    assert caught.value.code == 0x80200001 and caught.value.message
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'x', 0)
    with pytest.raises(Failure) as caught:
        bits('job_resume', job)
    assert caught.value.code == 0x80200003
    with pytest.raises(Failure) as caught:
        bits('job_add_file', job, b'http://h/x', b'relative')
    assert caught.value.code == 0x80070057
    with pytest.raises(Failure) as caught:
        bits('job_add_file', job, b'http://h/\xff\xfe', b'/tmp/x')
    assert caught.value.code == 0x80070057 and 'UTF-8' in caught.value.message
    with pytest.raises(Failure) as caught:
        bits('job_set_display_name', job, b'x' * 257)
    assert caught.value.code == 0x80200021
    bits.lib.bits_job_free(job)


def test_wait_times_out_without_polling(world, bits, opened):
    """LIB-12: while nothing happens, the waiting process takes no processor time."""
    url, target = world.put(500_000, stall_after=1000), world.vault() / 'file'
    job = start(world, bits, opened, url, target)
    world.server.wait_stalled(world.path_of(url))
    before = resource.getrusage(resource.RUSAGE_THREAD)
    assert bits.wait(job, 2) is None
    after = resource.getrusage(resource.RUSAGE_THREAD)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.2
    assert after.ru_nvcsw - before.ru_nvcsw < 20, 'it woke up again and again'
    world.server.release(world.path_of(url))
    assert bits.wait(job) == TRANSFERRED
    bits.lib.bits_job_free(job)


def test_event_loop(world, bits, opened):
    """LIB-13: one descriptor tells the news of several jobs."""
    vault = world.vault()
    urls = [world.put(100_000) for _ in range(3)]
    with as_alice(world):
        jobs = [bits.new('manager_create_job', opened, b'loop', 0) for _ in urls]
    seen = {job.value: set() for job in jobs}
    callback = CALLBACK(lambda job, event, _: seen[job].add(event))
    for number, (job, url) in enumerate(zip(jobs, urls)):
        bits('job_set_callback', job, callback, None)
        bits('job_add_file', job, url.encode(), f'{vault}/{number}'.encode())
        bits('job_resume', job)

    def done():
        return all(EVENT_TRANSFERRED in events for events in seen.values())
    poll(bits, opened, done)
    for job in jobs:
        bits.lib.bits_job_free(job)


def poll(bits, manager, done, seconds=30):
    """The loop of the header's contract."""
    usec = ctypes.c_uint64()
    deadline = bus.time.monotonic() + seconds
    while True:
        while bits('manager_process', manager):
            pass
        if done():
            return
        left = deadline - bus.time.monotonic()
        assert left > 0, 'no news'
        fd, events = bits('manager_fd', manager), bits('manager_events', manager)
        bits('manager_timeout', manager, ctypes.byref(usec))
        if usec.value != 2**64 - 1:
            left = min(left, max(0, usec.value / 1e6 - bus.time.monotonic()))
        poller = select.poll()
        poller.register(fd, events)
        poller.poll(left * 1000)


def test_restart_of_the_service(world, bits, opened):
    """LIB-14: the handle is gone, once and clearly; the job is there and can be opened again."""
    url, target = world.put(500_000, stall_after=100_000), world.vault() / 'file'
    job = start(world, bits, opened, url, target)
    world.server.wait_stalled(world.path_of(url))
    events = []
    callback = CALLBACK(lambda _job, event, _: events.append(event))
    bits('job_set_callback', job, callback, None)
    ident = bits.id(job)
    world.restart('bitsd')
    poll(bits, opened, lambda: EVENT_GONE in events)
    with pytest.raises(Failure) as caught:
        bits('job_resume', job)
    assert caught.value.code == 0x800706BA and 'open the job again' in caught.value.message
    while bits('manager_process', opened):
        pass
    assert events.count(EVENT_GONE) == 1
    bits.lib.bits_job_free(job)

    with as_alice(world):
        job = bits.new('manager_get_job', opened, ident.encode())
    world.server.release(world.path_of(url))
    assert bits.wait(job) == TRANSFERRED
    bits.lib.bits_job_free(job)


def test_rights_stay_with_the_object(root_world, bits, opened):
    """LIB-05: opened as alice, used as whoever the thread is by then."""
    world = root_world
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'mine', 0)
    with bus.impersonate(world.bob):
        bits('job_set_description', job, b'as bob')
        other = bits.new('manager_open')
        with pytest.raises(Failure) as caught:
            bits.new('manager_get_job', other, bits.id(job).encode())
    assert caught.value.code == 0x80200001
    bits.lib.bits_manager_close(other)
    bits.lib.bits_job_free(job)


def test_helper_token_is_the_thread_at_that_moment(root_world, bits, opened):
    """LIB-10: impersonate, call, revert."""
    world = root_world
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'two', 0)
        options = bits.new('job_query_token_options', job)
    bits.lib.bits_job_free(job)     # LIB-11: the interface stays valid
    with bus.impersonate(world.bob):
        bits('token_options_set_helper_token', options)
    sid = ctypes.c_char_p()
    bits('token_options_get_helper_token_sid', options, ctypes.byref(sid))
    assert sid.value.decode() == f'S-1-22-1-{world.bob}'
    with pytest.raises(Failure) as caught:
        bits('token_options_set_helper_token_flags', options, 4)
    assert caught.value.code == 0x80070057
    bits('token_options_set_helper_token_flags', options, 2)
    assert bits.number('token_options_get_helper_token_flags', options) == 2
    # Alice is no administrator and cannot hand over one's token.
    with pytest.raises(Failure) as caught:
        bits('token_options_set_helper_token', options)
    assert caught.value.code == 0x80070005
    bits('token_options_clear_helper_token', options)
    bits('token_options_get_helper_token_sid', options, ctypes.byref(sid))
    assert sid.value is None
    bits.lib.bits_token_options_free(options)


def test_a_thread_each(world, bits):
    """LIB-06: several threads, a manager each, and each its own last error."""
    vault, problems = world.vault(), []
    urls = [world.put(50_000) for _ in range(4)]

    def work(number):
        try:
            with as_alice(world):
                manager = bits.new('manager_open' if world.root else 'manager_open_user')
            job = start(world, bits, manager, urls[number], vault / str(number))
            assert bits.wait(job) == TRANSFERRED
            bits('job_complete', job, None)
            bits.lib.bits_job_free(job)
            bits.lib.bits_manager_close(manager)
        except BaseException as problem:
            problems.append(problem)
    threads = [threading.Thread(target=work, args=[i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    for number, url in enumerate(urls):
        assert (vault / str(number)).read_bytes() == world.bytes(url)


def test_objects_in_any_order(world, bits, opened):
    """LIB-07: a job outlives its manager's end."""
    with as_alice(world):
        manager = bits.new('manager_open' if world.root else 'manager_open_user')
        job = bits.new('manager_create_job', manager, b'orphan', 0)
    bits.lib.bits_manager_close(manager)
    assert bits.number('job_get_state', job, ctypes.c_int) == SUSPENDED
    with pytest.raises(Failure):
        bits.wait(job, 1)
    bits('job_cancel', job, None)
    bits.lib.bits_job_free(job)


def test_only_the_contract_is_exported():
    """LIB-08: the symbols of the library are the functions of the header."""
    library = playground_lib.default_build() + '/src/client/libopenbits.so.0'
    table = subprocess.run(['nm', '-D', '--defined-only', library], text=True, check=True,
                           capture_output=True).stdout
    symbols = {line.split()[-1] for line in table.splitlines()}
    header = (SOURCE / 'include' / 'openbits.h').read_text()
    declared = set(re.findall(r'^BITS_EXPORT[^;(]*?\b(bits_\w+)\(', header, re.M))
    assert symbols == declared


def test_the_header_is_c_and_cpp(tmp_path):
    """LIB-08: self-contained, also for C++."""
    for compiler, suffix, standard in (('cc', 'c', 'c99'), ('cc', 'c', 'c17'), ('c++', 'cc', 'c++98'),
                                       ('c++', 'cc', 'c++17')):
        file = tmp_path / f'x.{suffix}'
        file.write_text('#include <openbits.h>\n'
                        'int main(void) { return bits_error_code() == BITS_CODE_EMPTY; }\n')
        subprocess.run([compiler, f'-std={standard}', '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only',
                        f'-I{SOURCE}/include', file], check=True)


def test_vault_sync(root_world):
    """LIB-15: the example: root's file in a closed directory, fetched by bob."""
    world = root_world
    url, vault = world.put(300_000), world.vault(uid=0)
    name = 'bits-bob'
    result = world.playground.run(['vault-sync', url, str(vault / 'file'), name], uid=0)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f'{vault}/file\n'
    assert (vault / 'file').read_bytes() == world.bytes(url)
    assert (vault / 'file').stat().st_uid == 0


def test_vault_sync_fails_cleanly(root_world):
    """LIB-15: says why, and leaves no job behind."""
    world = root_world
    url, vault = world.put(1000, status=404), world.vault(uid=0)
    result = world.playground.run(['vault-sync', url, str(vault / 'file'), 'bits-bob'], uid=0)
    assert result.returncode == 1 and '0x80190194' in result.stderr
    assert world.manager(0).list() == []
    assert glob.glob(f'{vault}/.*') == []


def test_times_and_what_a_job_waits_for(world, bits, opened):
    """LIB-220"""
    job = start(world, bits, opened, world.put(1000, status=503), world.vault() / 'file')
    same = world.manager().job(bits.id(job))
    same.wait('transient-error')
    assert bits.number('job_get_maximum_download_time', job) == 7776000
    bits('job_set_maximum_download_time', job, 5)
    assert bits.number('job_get_maximum_download_time', job) == 5
    word = bits.new('job_get_waiting_for', job)
    assert ctypes.string_at(word) == b'retry'
    ctypes.CDLL(None).free(word)
    # Computed from two clocks at the moment of the question.
    assert abs(bits.number('job_get_next_attempt', job, ctypes.c_uint64) - same.get('NextAttempt')) < 1000
    bits.lib.bits_job_free(job)


# LIB-120
def test_replies(world, bits, opened, tmp_path):
    server = BitsServer(tmp_path / 'www')
    path = world.vault() / 'source'
    path.write_bytes(b'question')
    os.chown(path, world.alice, world.alice)
    try:
        for number, reply in enumerate((b'answer', b'', bytes((1 << 20) + 1))):
            server.application = lambda *_, reply=reply: reply
            with as_alice(world):
                job = bits.new('manager_create_job', opened, b'up', 2)
            data, name = ctypes.c_void_p(), ctypes.c_char_p()
            length, total, done = ctypes.c_size_t(7), ctypes.c_uint64(), ctypes.c_uint64()
            bits('job_get_reply_file_name', job, ctypes.byref(name))
            assert name.value is None
            bits('job_set_reply_file_name', job, str(path.parent / 'reply').encode())
            bits('job_get_reply_file_name', job, ctypes.byref(name))
            assert name.value == str(path.parent / 'reply').encode()
            bits('job_add_file', job, server.url(f'file{number}').encode(), str(path).encode())
            with pytest.raises(Failure) as caught:
                bits('job_get_reply_data', job, ctypes.byref(data), ctypes.byref(length))
            assert caught.value.code == 0x80200002
            bits('job_resume', job)
            assert bits.wait(job) == TRANSFERRED
            bits('job_get_reply_progress', job, ctypes.byref(total), ctypes.byref(done))
            assert (total.value, done.value) == (len(reply), len(reply))
            if len(reply) > 1 << 20:
                with pytest.raises(Failure) as caught:
                    bits('job_get_reply_data', job, ctypes.byref(data), ctypes.byref(length))
                assert caught.value.code == 0x80200020
            else:
                bits('job_get_reply_data', job, ctypes.byref(data), ctypes.byref(length))
                assert (ctypes.string_at(data, length.value) if data.value else b'') == reply
                assert bool(data.value) == bool(reply)
            assert length.value == len(reply)
            bits.lib.bits_job_free(job)
    finally:
        server.close()
    assert server.breaches == []
