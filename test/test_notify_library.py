"""Events and command lines through libopenbits, as a program has them.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import select
import time

import pytest

from test_library import CALLBACK, Failure, as_alice, bits, opened  # noqa: F401
from test_notify import ERROR, FILES, TRANSFERRED, handle_of, members, transferred

RECEIVER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class NotifyState(ctypes.Structure):
    _fields_ = [('author_uid', ctypes.c_uint32), ('started', ctypes.c_uint64), ('runs', ctypes.c_uint32),
                ('result', ctypes.c_char_p), ('objection', ctypes.c_char_p)]


class EventInfo(ctypes.Structure):
    _fields_ = [('file_index', ctypes.c_uint32), ('ranges', ctypes.c_void_p), ('n_ranges', ctypes.c_size_t),
                ('error_context', ctypes.c_uint32), ('error_code', ctypes.c_uint32)]


def process(bits, manager, arrived):    # noqa: F811
    """As an event loop does it."""
    deadline = time.monotonic() + 30
    while not arrived():
        assert time.monotonic() < deadline, 'the event does not come'
        if not bits('manager_process', manager):
            select.select([bits('manager_fd', manager)], [], [], 1)


def test_command_line_of_the_library(world, bits, opened):    # noqa: F811
    # LIB-240: sealed as the thread that calls
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'notify', 0)
        bits('job_set_notify_cmd_line', job, b'/bin/true', b'true "a b"')
    program, parameters = ctypes.c_char_p(), ctypes.c_char_p()
    bits('job_get_notify_cmd_line', job, ctypes.byref(program), ctypes.byref(parameters))
    assert (program.value, parameters.value) == (b'/bin/true', b'true "a b"')
    state = NotifyState()
    assert bits('job_get_notify_state', job, ctypes.byref(state)) == 1
    assert (state.author_uid, state.runs, state.result) == (world.alice, 0, b'not run yet')
    for wrong in ((None, b'x'), (b'true', None)):
        with pytest.raises(Failure) as refused:
            bits('job_set_notify_cmd_line', job, *wrong)
        assert refused.value.code == 0x80070057
    with pytest.raises(Failure) as refused:
        bits('job_set_notify_cmd_line', job, b'/bin/true', b'x' * 40000)
    assert refused.value.code == 0x80200021
    bits('job_set_notify_cmd_line', job, None, None)
    bits('job_get_notify_cmd_line', job, ctypes.byref(program), ctypes.byref(parameters))
    assert (program.value, parameters.value) == (None, None)
    assert bits('job_get_notify_state', job, ctypes.byref(state)) == 0
    interval = ctypes.c_uint32()
    bits('job_set_minimum_notification_interval', job, 1234)
    bits('job_get_minimum_notification_interval', job, ctypes.byref(interval))
    assert interval.value == 1234
    bits('job_cancel', job, None)
    bits.lib.bits_job_free(job)


def test_receiver_of_the_library(world, bits, opened):    # noqa: F811
    # LIB-242: set after the event; what it does not take stays due, what it takes is done with
    job = transferred(world)
    answers, told = [1, 0], []

    @RECEIVER
    def receive(_job, event, _userdata):
        told.append(event)
        return answers[len(told) - 1]

    with as_alice(world):
        mine = bits.new('manager_get_job', opened, job.id.encode())
    for count in (1, 2):
        bits('job_set_receiver', mine, receive, None)
        process(bits, opened, lambda: len(told) >= count)
        bits('job_set_receiver', mine, RECEIVER(), None)
    assert told == [0, 0]
    handle = handle_of(world, job)
    handle.call('Subscribe')
    assert handle.state == 'transferred' and members(handle.bus, job) == []
    bits.lib.bits_job_free(mine)


def test_what_comes_with_an_event(world, bits, opened):    # noqa: F811
    # LIB-241: and a job may be freed while it is told
    seen = []
    bits.lib.bits_job_event_info.restype = ctypes.POINTER(EventInfo)

    @CALLBACK
    def on_event(which, event, _userdata):
        info = bits.lib.bits_job_event_info(ctypes.c_void_p(which)).contents
        seen.append((event, info.file_index, info.error_context, info.error_code))
        if event == 1:
            bits.lib.bits_job_free(ctypes.c_void_p(which))

    for resource, event in ((world.put(100), (4, 0, 0, 0)), (world.put(0, status=404), (1, 0, 5, 0x80190194))):
        job = world.manager().create()
        job.add(resource, world.vault() / 'file')
        job.set('NotifyFlags', TRANSFERRED | ERROR | FILES)
        with as_alice(world):
            mine = bits.new('manager_get_job', opened, job.id.encode())
        assert not bits.lib.bits_job_event_info(mine)
        bits('job_set_callback', mine, on_event, None)
        job.resume()
        process(bits, opened, lambda: event in seen)
