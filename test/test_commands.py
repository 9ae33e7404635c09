"""bits-command and the broker that starts it: real command lines, real users, and a manager that may
be hostile.

The manager's part is played here, so that the test decides what bitsd says and when.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from bus import poll_until, process_state  # noqa: E402
from broker_play import (  # noqa: E402,F401
    ALICE, BOB, BUILD, CAROL, FILE, MANAGER, PATIENCE, TEAM, TOO_MANY, UNKNOWN_OWNER, as_effective,
    ask, broker_fixture, folder_fixture, manager_fixture, needs_root, start)
from wire import Channel, pack  # noqa: E402

COMMAND, NO_COMMAND = 2, 5
TRANSFERRED, ERROR = 1, 2
SIGNAL, TIMED_OUT = 0x100, 0x200
JOB = '01234567-89ab-4def-8123-456789abcdef'
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

REPORT = '''#!/usr/bin/python3 -IS
import json, os, sys
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
report = {
    'argv': sys.argv[1:], 'uids': os.getresuid(), 'gids': os.getresgid(), 'groups': os.getgroups(),
    'environment': dict(os.environ), 'cwd': os.getcwd(), 'leader': os.getsid(0) == os.getpid(),
    'fds': sorted(int(fd) for fd in os.listdir('/proc/self/fd')), 'stdin': os.readlink('/proc/self/fd/0'),
    'capabilities': [int(status['Cap' + name], 16) for name in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')],
    'no_new_privs': int(status['NoNewPrivs']), 'filters': int(status['Seccomp']),
    'blocked': int(status['SigBlk'], 16), 'ignored': int(status['SigIgn'], 16),
}
with open(sys.argv[1], 'w') as f:
    json.dump(report, f)
'''


def bytes_of(job, program, parameters):
    return b''.join(text.encode() + b'\0' for text in ('openbits-command-1', job, program, parameters))


def sealed(program, parameters='', job=JOB, uid=ALICE, seals=SEALS, data=None):
    """A sealed command line that this user made."""
    fd = as_effective(uid, lambda: os.memfd_create('command', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    os.write(fd, bytes_of(job, program, parameters) if data is None else data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@pytest.fixture(name='alice')
def alice_fixture(folder, broker):
    """alice is known to the broker, the real bits-command is there, she has a directory."""
    shutil.copy(BUILD / 'src' / 'command' / 'bits-command', folder / 'libexec')
    os.close(broker.token_as(ALICE, TEAM))
    path = folder / 'alice'
    path.mkdir(mode=0o700)
    os.chown(path, ALICE, TEAM)
    program = folder / 'report'
    program.write_text(REPORT)
    program.chmod(0o755)
    return path


class Run:
    """A command line that was started, as its manager sees it."""

    def __init__(self, manager, job=JOB, uid=ALICE):
        answer = ask(manager, 'BROKER_START_COMMAND', uid=uid, job=job)
        assert answer.name == 'BROKER_WORKER', answer.reason
        self.pid = answer.pid
        self.channel = Channel.from_fd(answer.channel, PATIENCE)
        hello = self.channel.receive()
        assert (hello.name, hello.kind, hello.uid) == ('WORKER_HELLO', COMMAND, uid)

    def order(self, event=TRANSFERRED, code=0, seconds=60):
        self.channel.send('COMMAND_RUN', event=event, code=code, seconds=seconds)
        answer = self.channel.receive()
        assert answer.name == 'COMMAND_STARTED'
        return answer.error

    def result(self):
        answer = self.channel.receive()
        assert answer.name == 'COMMAND_ENDED'
        with pytest.raises(EOFError):
            self.channel.receive()
        return answer.result


def keep(manager, program, parameters='', **given):
    fd = sealed(program, parameters, **given)
    answer = ask(manager, 'BROKER_KEEP_COMMAND', job=given.get('job', JOB), command=fd)
    os.close(fd)
    return answer


def kept(manager, program, parameters='', **given):
    answer = keep(manager, program, parameters, **given)
    assert (answer.name, answer.uid) == ('BROKER_COMMAND', given.get('uid', ALICE))


def run(manager, program, parameters='', **order):
    """Sets, starts, waits: what the command line's end was."""
    kept(manager, str(program), parameters)
    running = Run(manager)
    assert running.order(**order) == 0
    return running.result()


def reason(answer):
    assert answer.name == 'BROKER_REFUSED'
    return answer.reason


def gone(pid):
    return process_state(pid) in 'ZX'


def wait_for_file(path):
    """A process writes its number there, in one step, when it is on its way."""
    poll_until(path.exists, f'{path} is not there', PATIENCE)
    return int(path.read_text())


@needs_root
def test_runs_as_the_user_in_a_clean_process(folder, manager, alice):
    # NTF-245, NTF-246, SEC-241
    report = alice / 'report.json'
    assert run(manager, folder / 'report', f'report {report} "a b" $HOME', event=ERROR, code=0x80200056) == 0
    seen = json.loads(report.read_text())
    assert seen['argv'] == [str(report), 'a b', '$HOME']
    assert (seen['uids'], seen['gids'], seen['groups']) == ([ALICE] * 3, [TEAM] * 3, [])
    assert (seen['cwd'], seen['stdin'], seen['leader']) == ('/', '/dev/null', True)
    assert len(seen['fds']) == 4                       # three, and that of listing them
    assert seen['capabilities'][:3] == [0, 0, 0] and seen['capabilities'][4] == 0
    assert (seen['no_new_privs'], seen['filters'], seen['blocked']) == (1, 0, 0)
    assert seen['ignored'] & (1 << (signal.SIGPIPE - 1)) == 1 << (signal.SIGPIPE - 1)   # python itself
    assert seen['environment'] == {
        'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': '/', 'SHELL': '/bin/sh', 'LANG': 'C.UTF-8',
        'BITS_JOB_ID': JOB, 'BITS_EVENT': 'error', 'BITS_ERROR_CODE': '0x80200056'}
    assert report.stat().st_uid == ALICE


@needs_root
def test_exit_status_and_signal(manager, alice):
    # NTF-245
    assert run(manager, '/bin/true') == 0
    assert run(manager, '/bin/sh', 'sh -c "exit 3"') == 3
    assert run(manager, '/bin/sh', 'sh -c "kill -9 $$"') == SIGNAL + 9


@needs_root
def test_program_that_cannot_be_launched(folder, manager, alice):
    # NTF-245: missing, not executable, a directory, behind a directory that is closed to the user
    plain = folder / 'plain'
    plain.write_text('#!/bin/sh\n')
    closed = folder / 'closed'
    closed.mkdir(mode=0o700)
    shutil.copy('/bin/true', closed)
    for program, error in ((folder / 'missing', 2), (plain, 13), (folder, 13), (closed / 'true', 13)):
        kept(manager, str(program))
        running = Run(manager)
        assert running.order() == error
        with pytest.raises(EOFError):
            running.channel.receive()


@needs_root
def test_set_user_id_means_nothing(folder, manager, alice):
    # NTF-245: what it is given more than its user has
    shutil.copy('/usr/bin/id', folder / 'id')
    (folder / 'id').chmod(0o4755)
    kept(manager, '/bin/sh', f'sh -c "{folder}/id -u > {alice}/uid"')
    running = Run(manager)
    assert running.order() == 0 and running.result() == 0
    assert int((alice / 'uid').read_text()) == ALICE


@needs_root
def test_runs_too_long(manager, broker, alice):
    # NTF-249: what it started goes with it
    script = f'sleep 1000 & echo $$ $! > {alice}/new; mv {alice}/new {alice}/pids; wait'
    for seconds in (1, 5, 25):      # a slow machine may need more time to come so far as to be too long
        assert run(manager, '/bin/sh', f"sh -c '{script}'", seconds=seconds) == TIMED_OUT
        if (alice / 'pids').exists():
            break
    for pid in map(int, (alice / 'pids').read_text().split()):
        poll_until(lambda: gone(pid), 'all of it to end', PATIENCE)


@needs_root
def test_flood_of_output(manager, broker, alice):
    # NTF-248
    mark = len(broker.lines)
    script = 'printf "one\\033[31m\\ntwo\\377"; echo; yes | head -c 30000000; echo >&2 last'
    assert run(manager, '/bin/sh', f"sh -c '{script}'") == 0
    broker.wait_log('the rest is dropped')
    lines = [line for line in broker.lines[mark:] if 'says' in line]
    assert lines[0].endswith(f'job {JOB}: its command line says: one [31m') and lines[1].endswith('says: two?')
    assert len(lines) == 101


@needs_root
def test_killed_worker_takes_its_command_along(manager, alice):
    # NTF-247
    kept(manager, '/bin/sh', f"sh -c 'echo $$ > {alice}/new; mv {alice}/new {alice}/pid; exec sleep 1000'")
    running = Run(manager)
    assert running.order() == 0
    pid = wait_for_file(alice / 'pid')
    manager.send('BROKER_END_WORKER', pid=running.pid)
    with pytest.raises(EOFError):
        running.channel.receive()
    poll_until(lambda: gone(pid), 'the command lives on', PATIENCE)


@needs_root
def test_manager_goes_away(manager, broker, alice):
    # NTF-247: what runs is seen to its end, what was not ordered is not begun
    script = f'echo $$ > {alice}/new; mv {alice}/new {alice}/pid; read x < {alice}/go; echo x > {alice}/done'
    os.mkfifo(alice / 'go')
    os.chown(alice / 'go', ALICE, TEAM)
    kept(manager, '/bin/sh', f"sh -c '{script}'")
    running, idle = Run(manager), Run(manager)
    assert running.order() == 0
    wait_for_file(alice / 'pid')
    running.channel.close()
    idle.channel.close()
    broker.wait_log(f'[{idle.pid}] of uid {ALICE} ended with status 0')
    with open(alice / 'go', 'w') as f:
        f.write('\n')
    broker.wait_log(f'[{running.pid}] of uid {ALICE} ended with status 0')
    assert (alice / 'done').exists()


@needs_root
@pytest.mark.parametrize('what', ['event', 'time', 'twice', 'other', 'garbage'])
def test_breach_of_the_protocol(manager, broker, alice, what):
    # NTF-247: bits-command is cut off, and what runs ends with it
    kept(manager, '/bin/sleep', 'sleep 1000')
    running = Run(manager)
    if what == 'twice':
        assert running.order() == 0
    data = {'event': pack('COMMAND_RUN', event=4, code=0, seconds=1)[0],
            'time': pack('COMMAND_RUN', event=1, code=0, seconds=0)[0],
            'twice': pack('COMMAND_RUN', event=1, code=0, seconds=1)[0],
            'other': pack('FILE_CHECK', local_name='/etc/passwd')[0], 'garbage': b'x' * 50}[what]
    running.channel.send_raw(data)
    with pytest.raises(EOFError):
        running.channel.receive()
    broker.wait_log(f'[{running.pid}] of uid {ALICE} ended with status 1')


# ---- a hostile manager ----

@needs_root
def test_nobody_runs_what_another_sealed(manager, broker, alice):
    # SEC-240, SEC-241
    os.close(broker.token_as(BOB, TEAM))
    kept(manager, '/bin/true')
    for uid in (BOB, CAROL, 0, MANAGER, 0xffffffff):
        assert reason(ask(manager, 'BROKER_START_COMMAND', uid=uid, job=JOB)) == NO_COMMAND
    other = JOB[:-1] + '0'
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=other)) == NO_COMMAND
    broker.wait_log(f'uid {BOB} has no command line for job {JOB}')


@needs_root
def test_what_is_not_sealed_is_not_kept(manager, alice, folder):
    # SEC-240: still open, sealed by half, a file, a pipe; and no text of the manager's own
    plain = os.open(folder / 'report', os.O_RDONLY)
    reader, writer = os.pipe()
    files = [sealed('/bin/true', seals=0), sealed('/bin/true', seals=fcntl.F_SEAL_WRITE), plain, reader,
             sealed('/bin/true', data=b'')]
    for fd in files:
        assert reason(ask(manager, 'BROKER_KEEP_COMMAND', job=JOB, command=fd)) == NO_COMMAND
        os.close(fd)
    os.close(writer)
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=JOB)) == NO_COMMAND


@needs_root
def test_managers_own_seal_is_its_own(manager, alice):
    # SEC-240: whoever makes the file is its author, whatever it says
    kept(manager, '/bin/true', uid=MANAGER)
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=JOB)) == NO_COMMAND
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=MANAGER, job=JOB)) == UNKNOWN_OWNER


@needs_root
@pytest.mark.parametrize('uid', [0, 110, 61200])
def test_root_and_services_have_no_command_lines(manager, broker, alice, uid):
    # NTF-244
    assert reason(keep(manager, '/bin/true', uid=uid)) == UNKNOWN_OWNER
    # not even by a file that somebody put into the ledger
    (broker.state / 'commands' / f'{uid}.{JOB}').write_bytes(bytes_of(JOB, '/bin/true', ''))
    os.close(broker.token_as(uid, TEAM))
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=uid, job=JOB)) == UNKNOWN_OWNER


@needs_root
def test_user_who_never_presented_himself(manager, alice):
    # SEC-241
    kept(manager, '/bin/true', uid=BOB)
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=BOB, job=JOB)) == UNKNOWN_OWNER


@needs_root
def test_four_at_a_time(manager, broker, alice):
    # LIM-241: and they take nothing from his workers
    kept(manager, '/bin/sleep', 'sleep 1000')
    running = [Run(manager) for _ in range(4)]
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=JOB)) == TOO_MANY
    workers = [start(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE) for _ in range(16)]
    for worker in workers:
        worker.close()
    running[0].channel.close()
    broker.wait_log(f'[{running[0].pid}] of uid {ALICE} ended')
    running[0] = Run(manager)
    for one in running:
        one.channel.close()


@needs_root
def test_dropped_and_removed_by_hand(manager, broker, alice):
    # SEC-240
    kept(manager, '/bin/true')
    manager.send('BROKER_DROP_COMMAND', uid=BOB, job=JOB)
    Run(manager).channel.close()
    manager.send('BROKER_DROP_COMMAND', uid=ALICE, job=JOB)
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=JOB)) == NO_COMMAND
    kept(manager, '/bin/true')
    (broker.state / 'commands' / f'{ALICE}.{JOB}').unlink()
    assert reason(ask(manager, 'BROKER_START_COMMAND', uid=ALICE, job=JOB)) == NO_COMMAND


@needs_root
def test_kept_over_a_restart_of_the_broker(broker, alice):
    # SEC-240
    with broker.connect() as manager:
        kept(manager, '/bin/sh', 'sh -c "exit 7"')
    broker.stop(signal.SIGKILL)
    broker.start()
    with broker.connect() as manager:
        running = Run(manager)
        assert running.order() == 0 and running.result() == 7


@needs_root
@pytest.mark.parametrize('job', ['', '../../../../../../../../../../../etc/x', JOB.upper(), JOB + '0'])
def test_job_ids_are_no_paths(broker, alice, job):
    # SEC-240, SEC-44
    fd = sealed('/bin/true')
    for name, fields in (('BROKER_KEEP_COMMAND', {'command': fd}), ('BROKER_DROP_COMMAND', {'uid': ALICE}),
                         ('BROKER_START_COMMAND', {'uid': ALICE})):
        with broker.connect() as manager:
            manager.send(name, job=job, **fields)
            with pytest.raises(EOFError):
                manager.receive()
    os.close(fd)
    broker.wait_log('malformed BROKER_START_COMMAND')


@needs_root
def test_no_command_without_its_own_request(broker, alice):
    # SEC-240: the kind is none for the requests of transfers
    token = broker.token_as(ALICE, TEAM)
    for name, fields in (('BROKER_START_OWNER', {'uid': ALICE}), ('BROKER_START_TOKEN', {'token': token})):
        with broker.connect() as manager:
            manager.send(name, kind=COMMAND, **fields)
            with pytest.raises(EOFError):
                manager.receive()
    os.close(token)


@needs_root
def test_sealed_nonsense_is_not_run(manager, alice):
    # NTF-243: the author may seal anything; it is checked again where it would be run
    for data in (b'x', b'openbits-command-1\0' + JOB.encode() + b'\0true\0\0',
                 b'openbits-command-1\0' + JOB.encode() + b'\0/bin/true\0"\0',
                 b'openbits-command-1\0' + JOB.encode() + b'\0\0\0'):
        kept(manager, '', data=data)
        running = Run(manager)
        assert running.order() in (22, 74)
