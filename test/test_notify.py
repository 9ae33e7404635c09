"""Events of jobs, whole: signals under BITS's rules, receivers, and command lines that run as their
users, with the real service.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import fcntl
import os
import pathlib
import re
import signal
import time

import pytest

import bus
from test_policy import Configured

TRANSFERRED, ERROR, DISABLE, MODIFICATION, FILES = 1, 2, 4, 8, 0x10
EVENTS = ('JobTransferred', 'JobError')
INVALID, TOO_LONG = 'InvalidArgument', 'StringTooLong'
DELAY = 5                # seconds, the least MinimumRetryDelay
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed(job, program, parameters='', uid=None, seals=SEALS):
    """A command line that this user (the caller unless told) sealed for the job."""
    with bus.impersonate(uid) if uid is not None and os.geteuid() == 0 else contextlib.nullcontext():
        fd = os.memfd_create('command', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, b''.join(text.encode() + b'\0' for text in ('openbits-command-1', job, str(program), parameters)))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def set_command(world, job, program, parameters='', uid=None):
    fd = sealed(job.id, program, parameters, world.alice if uid is None else uid)
    try:
        job.call('SetSealedNotifyCmdLine', 'h', fd)
    finally:
        os.close(fd)


class State:
    def __init__(self, job):
        self.author, self.started, self.runs, self.result, self.objection = job.get('NotifyCmdLineState')


def wait_result(job, result, runs=1, or_later=False):
    def ended():
        state = State(job)
        return state.result == result and (state.runs == runs or or_later and state.runs > runs) and state
    return job.wait_until(ended, f'"{result}" of run {runs}')


def made(world, **options):
    """A job whose one file will be there at once, not resumed; its retry delay the least."""
    job = world.manager().create(**options)
    job.add(world.put(1000), world.vault() / 'file')
    job.set('MinimumRetryDelay', DELAY)
    return job


def transferred(world, job=None):
    job = job or made(world)
    job.resume()
    job.wait('transferred')
    return job


def script(folder, text, name='script'):
    path = folder / name
    path.write_text('#!/bin/sh\n' + text)
    path.chmod(0o755)
    return path


def waiting_script(world, folder, status=0, name='script'):
    """Says its process number and waits until finish()."""
    os.mkfifo(folder / 'go')
    os.chown(folder / 'go', world.alice, -1)
    return script(folder, f'cd {folder}; echo $$ > new; mv new pid; read x < go; rm pid; exit {status}\n', name)


def finish(folder):
    with open(folder / 'go', 'w') as f:
        f.write('\n')


def pid_in(folder):
    bus.poll_until((folder / 'pid').exists, 'the command line to run')
    return int((folder / 'pid').read_text())


def members(connection, job, mark=0):
    return [s.member for s in connection.signals[mark:] if s.path == job.path and s.member != 'Changed']


def handle_of(world, job):
    """A handle of its own, with the connection that its signals come over."""
    connection = world.handle(world.manager().open(job.id))
    return bus.Job(connection, job.path, job.id)


def is_event(job):
    return lambda s: s.path == job.path and s.member in EVENTS


# ---- signals ----

def test_order_of_the_signals(world):
    # NTF-250: files before their job; no modification for the change to transferred, nor behind it
    job = world.manager().create()
    for number in range(3):
        job.add(world.put(1000), world.vault() / f'{number}')
    job.set('MinimumNotificationInterval', 0)
    job.set('NotifyFlags', TRANSFERRED | MODIFICATION | FILES)
    mark = len(job.bus.signals)
    job.resume()
    job.bus.wait_signal(is_event(job), mark)
    assert job.complete() == 0
    seen = members(job.bus, job, mark)
    assert [m for m in seen if m != 'JobModification'] == ['FileTransferred'] * 3 + ['JobTransferred']
    assert 'JobModification' in seen[:seen.index('FileTransferred')]
    behind = seen[seen.index('JobTransferred'):]
    assert behind.count('JobModification') <= 1     # that of Complete


def test_files_are_told_before_the_failure(world):
    # NTF-470: which files are there is settled when JobError comes
    job, vault = world.manager().create(), world.vault()
    job.add_all([(world.put(1000, status=404 if number == 3 else 0), vault / f'{number}') for number in range(20)])
    job.set('NotifyFlags', TRANSFERRED | ERROR | FILES)
    mark = len(job.bus.signals)
    job.resume()
    job.bus.wait_signal(is_event(job), mark)
    there = job.progress.files_transferred
    assert job.complete() == bus.PARTIAL_COMPLETE
    seen = members(job.bus, job, mark)
    assert seen == ['FileTransferred'] * there + ['JobError'] and len(os.listdir(vault)) == there


def test_no_modification_for_a_change_to_error(world):
    # NTF-250: a job whose helper is missing is queued, has its turn, and fails
    job = world.manager().create()
    job.add(world.put(1000), world.vault() / 'file')
    job.set_helper_flags(bus.LOCAL_FILE)
    job.set('MinimumNotificationInterval', 0)
    job.set('NotifyFlags', ERROR | MODIFICATION)
    mark = len(job.bus.signals)
    job.resume()
    job.bus.wait_signal(is_event(job), mark)
    changed = len(job.bus.signals)
    job.bus.wait_signal(lambda s: s.path == job.path and s.member == 'Changed', changed)
    seen = members(job.bus, job, mark)
    assert seen[-1] == 'JobError' and set(seen[:-1]) == {'JobModification'} and len(seen) <= 3    # queued, connecting


def test_modifications_are_gathered(world):
    # NTF-250: at most one in each interval, and none without its flag
    job = world.manager().create()
    assert (job.get('NotifyFlags'), job.get('MinimumNotificationInterval')) == (3, 500)
    job.set('Description', 'without the flag')
    job.set('MinimumNotificationInterval', 3_600_000)
    job.set('NotifyFlags', MODIFICATION)
    for number in range(20):
        job.set('Description', str(number))
    assert members(job.bus, job) == ['JobModification']
    job.set('NotifyFlags', MODIFICATION | DISABLE)
    other = world.manager().create()
    other.set('NotifyFlags', MODIFICATION | DISABLE)
    other.set('Description', 'x')
    assert members(job.bus, other) == []


def test_gathered_modification_comes_when_its_time_has(world):
    # NTF-250
    job = world.manager().create()
    job.set('MinimumNotificationInterval', 300)
    start = time.monotonic()        # before the first: with its flag, or with the description
    job.set('NotifyFlags', MODIFICATION)
    job.set('Description', 'x')
    job.wait_until(lambda: members(job.bus, job).count('JobModification') == 2, 'two modifications')
    assert time.monotonic() - start > 0.25
    world.restart('bitsd')
    assert world.manager().job(job.id).get('MinimumNotificationInterval') == 300


# ---- receivers ----

def test_late_receiver_gets_what_it_missed(world):
    # NTF-251: until it is acknowledged, over a restart of the daemon
    job = transferred(world)
    first, second = handle_of(world, job), handle_of(world, job)
    first.call('Subscribe')
    first.bus.wait_signal(is_event(job))
    assert first.state == 'transferred' and members(second.bus, job) == []
    world.restart('bitsd')
    late = handle_of(world, job)
    late.call('Subscribe')
    late.bus.wait_signal(is_event(job))
    late.call('AcknowledgeEvent', 's', 'error')      # which is not due
    late.call('AcknowledgeEvent', 's', 'transferred')
    later = handle_of(world, job)
    later.call('Subscribe')
    assert later.state == 'transferred'
    assert members(later.bus, job) == []
    with pytest.raises(bus.BusError, match='"transferred" and "error" are'):
        late.call('AcknowledgeEvent', 's', 'modification')


def test_error_is_told_late_with_its_code(world):
    # NTF-251: and is of no more interest when the job has left that state
    url = world.put(0, status=404, times=1)
    job = world.manager().create()
    job.add(url, world.vault() / 'file')
    job.resume()
    job.wait('error')
    handle = handle_of(world, job)
    handle.call('Subscribe')
    found = handle.bus.wait_signal(is_event(job))
    assert (found.member, found.body) == ('JobError', (5, 0x80190194))
    job.suspend()
    handle = handle_of(world, job)
    handle.call('Subscribe')
    assert handle.state == 'suspended' and members(handle.bus, job) == []


def test_disabled_events_wait(world):
    # NTF-242: DISABLE is more than all others; what was due is told when it is taken away
    job = made(world)
    job.set('NotifyFlags', TRANSFERRED | DISABLE)
    transferred(world, job)
    handle = handle_of(world, job)
    handle.call('Subscribe')
    assert handle.state == 'transferred' and members(handle.bus, job) == []
    handle.set('NotifyFlags', TRANSFERRED)
    handle.bus.wait_signal(is_event(job))


# ---- command lines: setting ----

def test_codes_of_setting(world):
    # NTF-240, NTF-243
    job = world.manager().create()
    assert job.call('GetNotifyCmdLine') == ('', '')
    state = State(job)
    assert (state.author, state.runs, state.result, state.objection) == (0xffffffff, 0, '', '')
    for program, parameters, short in (
            ('true', '', INVALID), ('', 'true', INVALID), ('/bin/true', '"', INVALID),
            ('/bin/true\n', '', INVALID), ('/' + 'x' * 4095, '', TOO_LONG), ('/bin/true', 'x' * 4001, TOO_LONG)):
        with pytest.raises(bus.BusError) as plain:
            job.call('SetNotifyCmdLine', 'ss', program, parameters)
        with pytest.raises(bus.BusError) as with_seal:
            set_command(world, job, program, parameters)
        assert (plain.value.short, with_seal.value.short) == (short, short)
    set_command(world, job, '/' + 'x' * 4094, 'ä' * 4000)
    assert job.call('GetNotifyCmdLine') == ('/' + 'x' * 4094, 'ä' * 4000)
    assert State(job).author == world.alice and State(job).result == 'not run yet'
    job.call('SetNotifyCmdLine', 'ss', '', '')
    assert job.call('GetNotifyCmdLine') == ('', '')
    job.cancel()
    with pytest.raises(bus.BusError, match='NotFound|UnknownObject|UnknownMethod|InvalidState'):
        job.call('SetNotifyCmdLine', 'ss', '', '')


def test_what_is_no_seal(world):
    # NTF-243
    job, other = world.manager().create(), world.manager().create()
    reader, writer = os.pipe()
    for fd in (sealed(job.id, '/bin/true', seals=0), sealed(job.id, '/bin/true', seals=fcntl.F_SEAL_WRITE),
               sealed(other.id, '/bin/true'), os.open('/dev/null', os.O_RDWR), reader):
        with pytest.raises(bus.BusError) as refused:
            job.call('SetSealedNotifyCmdLine', 'h', fd)
        assert refused.value.short == INVALID
        os.close(fd)
    os.close(writer)
    assert job.call('GetNotifyCmdLine') == ('', '')


def test_plain_text_has_no_author(root_world):
    # NTF-243: and is refused where it would run
    world = root_world
    job = world.manager().create()
    with pytest.raises(bus.BusError, match="its author's seal"):
        job.call('SetNotifyCmdLine', 'ss', '/bin/true', '')
    assert job.call('GetNotifyCmdLine') == ('', '')


def test_root_and_its_jobs_run_nothing(root_world):
    # NTF-244: it can be set and read, as in BITS
    world = root_world
    folder = world.vault()
    touch = f'touch {folder}/ran'
    job = world.manager(0).create()
    job.call('SetNotifyCmdLine', 'ss', '/bin/touch', touch)
    assert job.call('GetNotifyCmdLine') == ('/bin/touch', touch)
    assert 'root and of service accounts' in State(job).objection
    alices = made(world)
    set_command(world, world.manager(0).job(alices.id), '/bin/touch', touch, uid=0)
    assert 'root and of service accounts' in State(alices).objection
    set_command(world, job, '/bin/touch', touch, uid=world.alice)
    job.add(world.put(10), world.vault(0) / 'file')
    for one in (job, alices):
        one.resume()
        one.wait('transferred')
        assert State(one).runs == 0
    assert not (folder / 'ran').exists()


def test_take_ownership_removes_it(root_world):
    # NTF-252
    world = root_world
    job = world.manager().create()
    set_command(world, job, '/bin/true')
    kept = pathlib.Path(world.playground.state, 'openbits-broker', 'commands', f'{world.alice}.{job.id}')
    assert kept.exists()
    root = world.manager(0).job(job.id)
    root.take_ownership()
    root = world.manager(0).job(job.id)
    assert root.call('GetNotifyCmdLine') == ('', '')
    bus.poll_until(lambda: not kept.exists(), 'the broker to forget it')


# ---- command lines: running ----

def test_runs_when_transferred(world):
    # NTF-242, NTF-246, NTF-254; an exit status of 0 acknowledges the event
    folder = world.vault()
    job = made(world)
    set_command(world, job, '/bin/sh', f'sh -c \'echo "$BITS_EVENT $BITS_JOB_ID $(id -u)" > {folder}/said; echo hi\'')
    transferred(world, job)
    state = wait_result(job, 'exit status 0')
    assert (folder / 'said').read_text() == f'transferred {job.id} {world.alice}\n'
    assert abs(state.started / 1e6 - time.time()) < 60
    handle = handle_of(world, job)
    handle.call('Subscribe')
    assert handle.state == 'transferred' and members(handle.bus, job) == []
    log = world.playground.log('bitsd')
    assert f'job {job.id}: the command line of' in log and f'job {job.id}: uid {world.alice} set the command' in log
    bus.poll_until(lambda: f'job {job.id}: its command line says: hi' in world.playground.log('broker'), 'its output')
    world.restart('bitsd')
    again = State(world.manager().job(job.id))
    assert (again.started, again.runs, again.result) == (state.started, 1, 'exit status 0')


def test_runs_for_an_error(world):
    # NTF-242, NTF-246
    folder = world.vault()
    job = world.manager().create()
    job.add(world.put(0, status=404), folder / 'file')
    set_command(world, job, '/bin/sh', f"sh -c 'echo $BITS_EVENT $BITS_ERROR_CODE > {folder}/said'")
    job.resume()
    job.wait('error')
    wait_result(job, 'exit status 0')
    assert (folder / 'said').read_text() == 'error 0x80190194\n'


@pytest.mark.parametrize('flags', [0, ERROR, TRANSFERRED | DISABLE])
def test_runs_only_for_what_the_flags_say(world, flags):
    # NTF-242
    job = made(world)
    set_command(world, job, '/bin/true')
    job.set('NotifyFlags', flags)
    transferred(world, job)
    assert State(job).runs == 0
    job.set('NotifyFlags', TRANSFERRED)
    wait_result(job, 'exit status 0')


def test_set_after_the_event(world):
    # NTF-242: runs then; and another one runs at once, though the first one failed
    job = transferred(world)
    set_command(world, job, '/bin/false')
    wait_result(job, 'exit status 1')
    set_command(world, job, '/bin/true')
    wait_result(job, 'exit status 0')


def test_receiver_comes_first(world):
    # NTF-242: the command line is for when it has left without an answer
    job = made(world)
    job.set('MinimumRetryDelay', 10 * bus.DEADLINE)
    set_command(world, job, '/bin/true')
    handle = handle_of(world, job)
    handle.call('Subscribe')
    transferred(world, job)
    handle.bus.wait_signal(is_event(job))
    assert State(job).runs == 0
    handle.bus.close()
    wait_result(job, 'exit status 0')       # not when its time to answer is over


def test_acknowledged_is_not_run(world):
    # NTF-242
    job = made(world)
    set_command(world, job, '/bin/true')
    handle = handle_of(world, job)
    handle.call('Subscribe')
    transferred(world, job)
    handle.bus.wait_signal(is_event(job))
    handle.call('AcknowledgeEvent', 's', 'transferred')
    handle.call('Unsubscribe')
    assert State(job).runs == 0
    set_command(world, job, '/bin/false')
    assert State(job).runs == 0


def test_what_failed_comes_again(world):
    # NTF-242, NTF-251: three runs that fail, a receiver without an answer, the same with a command line
    failing, told, both, missing = (made(world) for _ in range(4))
    set_command(world, failing, '/bin/sh', 'sh -c "exit 3"')
    set_command(world, both, '/bin/true')
    set_command(world, missing, '/bin/missing')
    receivers = [handle_of(world, job) for job in (told, both)]
    for handle in receivers:
        handle.call('Subscribe')
    start = time.monotonic()
    for job in (told, both, failing, missing):
        transferred(world, job)
    first = receivers[0].bus.wait_signal(is_event(told))
    for count, seconds in ((1, 0), (2, DELAY), (3, 2 * DELAY)):     # who looks late sees a later one
        wait_result(failing, 'exit status 3', count, or_later=True)
        assert time.monotonic() - start > seconds - 0.1
        wait_result(missing, 'could not be launched: No such file or directory', count, or_later=True)
    wait_result(both, 'exit status 0')                # nobody has answered
    receivers[0].bus.wait_signal(is_event(told), 1 + receivers[0].bus.signals.index(first))
    assert f'exit status 3; to be repeated in {DELAY} s' in world.playground.log('bitsd')
    assert failing.complete() == 0


def test_four_at_a_time(world):
    # LIM-241
    jobs = []
    for _ in range(6):
        folder = world.vault()
        job = made(world)
        set_command(world, job, waiting_script(world, folder))
        jobs.append((job, folder))
        transferred(world, job)
    for _, folder in jobs[:4]:
        pid_in(folder)
    assert [State(job).runs for job, _ in jobs] == [1] * 4 + [0] * 2
    finish(jobs[0][1])
    pid_in(jobs[4][1])
    assert State(jobs[5][0]).runs == 0
    for _, folder in jobs[1:5]:
        finish(folder)
    pid_in(jobs[5][1])
    finish(jobs[5][1])
    for job, _ in jobs:
        wait_result(job, 'exit status 0')


def test_job_that_ends_meanwhile(world):
    # NTF-247, NTF-251: what a command line is for
    folder = world.vault()
    job = made(world)
    set_command(world, job, waiting_script(world, folder, status=1))
    transferred(world, job)
    pid_in(folder)
    assert State(job).result == 'running'
    assert job.complete() == 0
    finish(folder)
    end = re.compile(f'job {job.id}: the command line of .*: exit status 1$', re.M)
    bus.poll_until(lambda: end.search(world.playground.log('bitsd')), 'its end, without a repetition')
    assert not (folder / 'pid').exists()
    assert not list(pathlib.Path(world.playground.state, 'openbits-broker', 'commands').glob(f'*.{job.id}'))


def test_killed_while_it_runs(world):
    # NTF-247, NTF-251: bits-command and its command; then the daemon, whose command goes on
    folders = [world.vault(), world.vault()]
    jobs = [made(world), made(world)]
    for job, folder in zip(jobs, folders):
        set_command(world, job, waiting_script(world, folder))
        transferred(world, job)
    pids = [pid_in(folder) for folder in folders]
    parent = int(pathlib.Path(f'/proc/{pids[0]}/stat').read_text().rsplit(')', 1)[1].split()[1])
    os.kill(parent, signal.SIGKILL)
    wait_result(jobs[0], 'lost: nobody saw how it ended')
    bus.poll_until(lambda: not pathlib.Path(f'/proc/{pids[0]}').exists(), 'the command to end')
    (folders[0] / 'pid').unlink()
    set_command(world, jobs[0], '/bin/true')
    wait_result(jobs[0], 'exit status 0')
    world.restart('bitsd')
    other = world.manager().job(jobs[1].id)
    assert State(other).result == 'lost: nobody saw how it ended'
    assert pathlib.Path(f'/proc/{pids[1]}').exists()
    finish(folders[1])
    bus.poll_until(lambda: not (folders[1] / 'pid').exists(), 'the first run to end')
    pid_in(folders[1])                    # repeated, no sooner than the retry delay
    assert State(other).runs == 2
    finish(folders[1])
    wait_result(other, 'exit status 0', runs=2)


def test_daemon_dies_between_event_and_run(world):
    # NTF-251
    folder = world.vault()
    job = made(world)
    set_command(world, job, '/bin/touch', f'touch {folder}/ran')
    job.set('NotifyFlags', TRANSFERRED | DISABLE)
    transferred(world, job)
    world.restart('bitsd')
    world.restart('broker')
    job = world.manager().job(job.id)
    job.set('NotifyFlags', TRANSFERRED)
    wait_result(job, 'exit status 0')
    assert (folder / 'ran').exists()


# ---- policy ----

@pytest.fixture(name='config')
def config_fixture(world):
    configured = Configured(world.playground)
    yield configured
    configured.clear()


def test_administrator_forbids_them(world, config):
    # NTF-253
    job, other = made(world), made(world)
    set_command(world, job, '/bin/true')
    config.write('[Notification]\nAllowCommandLines=no\n')
    with pytest.raises(bus.BusError, match='the administrator of this machine forbids'):
        set_command(world, other, '/bin/true')
    transferred(world, job)
    assert State(job).runs == 0 and 'AllowCommandLines' in State(job).objection
    config.write(f'[Notification]\nAllowCommandLines=no\nCommandLineAccounts={world.alice}\n')
    wait_result(job, 'exit status 0')
    set_command(world, other, '/bin/true')


def test_runs_too_long(world, config):
    # NTF-249, NTF-253
    config.write('[Notification]\nCommandLineTimeout=1\n')
    job = made(world)
    set_command(world, job, '/bin/sleep', 'sleep 1000')
    transferred(world, job)
    wait_result(job, 'ended, because it ran too long')


def test_no_classes_to_activate(world):
    # NTF-255
    null = '00000000-0000-0000-0000-000000000000'
    job = world.manager().create()
    assert job.get('NotificationClsid') == null
    job.set('NotificationClsid', null)
    with pytest.raises(bus.BusError) as refused:
        job.set('NotificationClsid', '12345678-0000-0000-0000-000000000000')
    assert refused.value.short == 'NotImplemented'
