"""What the scenarios share: people who sign in and out, the service's jobs, what servers wrote down.

Runs in the booted test machine as root, as a service of its systemd; nothing here is of use outside
but the table SCENARIOS, from which pytest on the host takes the names.

A Session is a real one: sshd, su or a unit opens it through PAM, logind knows it, and a shell stands
in it that runs what a scenario wants to be run there. Its end is a logout, unless the scenario asks
logind to end it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import contextlib
import json
import os
import pathlib
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, '/test')     # test/bus.py, the D-Bus client

DAEMONS = ('bitsd.service', 'bits-broker.service')
SOCKETS = ('bits-broker.socket', 'bits-broker-manager.socket')
WEB, PROXY, TLS = 'web.openbits.test', 'proxy.openbits.test', 'tls.openbits.test'
LARGE = 4_000_000               # bytes of each .../large
DEADLINE = 30

Scenario = collections.namedtuple('Scenario', 'function needs bus')
SCENARIOS = {}                  # by name, in the order in which they run


def scenario(needs=None, bus='dbus-daemon'):
    """Registers a function as a scenario. needs: it is written, and waits for this. bus: it runs in
    a machine whose message bus is that one."""
    def register(function):
        assert function.__name__ not in SCENARIOS
        SCENARIOS[function.__name__] = Scenario(function, needs, bus)
        return function
    return register


def poll(condition, what, timeout=DEADLINE):
    """The first true value of condition()."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f'{timeout} s have passed without {what}'
        time.sleep(0.01)


def parse(output):
    """What `bits --json` printed: the list that its one key names; text if it is none."""
    if not output.lstrip().startswith('{'):
        return output
    [value] = json.loads(output).values()
    return value


# ---- commands

def sh(command, user=None, status=0, timeout=DEADLINE):
    """Runs a shell command, as a user outside of any session if one is named; gives its output.
    status: the one it must have, None for any."""
    argv = ['/bin/sh', '-c', command]
    if user:
        argv = ['setpriv', f'--reuid={user}', f'--regid={user}', '--init-groups', '--reset-env',
                *argv]
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.STDOUT, timeout=timeout, cwd='/')
    assert status is None or result.returncode == status, \
        f'{user or "root"}: {command}: status {result.returncode}\n{result.stdout}'
    return result.stdout


def systemctl(*words, status=0):
    return sh(shlex.join(['systemctl', *words]), status=status).strip()


def unit(name, *properties):
    """Properties of a unit, as text; one value for one."""
    lines = systemctl('show', name, *(f'--property={p}' for p in properties)).splitlines()
    found = dict(line.split('=', 1) for line in lines)
    return found[properties[0]] if len(properties) == 1 else found


def main_pid(name):
    """The unit's running process; 0 if there is none."""
    found = unit(name, 'MainPID', 'ActiveState')
    return int(found['MainPID']) if found['ActiveState'] == 'active' else 0


def kill_daemon(name):
    """SIGKILL; returns when the unit's next process is there."""
    before = poll(lambda: main_pid(name), f'{name} to run')
    os.kill(before, signal.SIGKILL)
    poll(lambda: main_pid(name) not in (0, before), f'the successor of {name}')


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    text = pathlib.Path(f'/proc/{pid}/status').read_text()
    return {key: value.strip() for key, _, value in
            (line.partition(':') for line in text.splitlines())}


# ---- the journal

def journal_position():
    return sh('journalctl --quiet --no-pager --lines=0 --show-cursor').split('-- cursor: ')[-1].strip()


def journal(position, *arguments):
    """Entries since the position, as dictionaries."""
    sh('journalctl --sync')
    lines = sh(shlex.join(['journalctl', '--quiet', '--no-pager', '--output=json',
                           f'--after-cursor={position}', *arguments])).splitlines()
    return [json.loads(line) for line in lines]


def complaints(position):
    """Errors that our programs wrote, and what systemd says of one that was killed by SIGSYS."""
    own = [f'_SYSTEMD_UNIT={name}' for name in DAEMONS]
    found = [f'{entry.get("SYSLOG_IDENTIFIER")}: {entry["MESSAGE"]}'
             for entry in journal(position, '--priority=err', *own)]
    return found + [entry['MESSAGE'] for entry in journal(position, '_PID=1')
                    if 'bits' in entry.get('UNIT', '') and 'status=31/SYS' in entry['MESSAGE']]


# ---- people

WAYS = {
    'ssh': ['ssh', '{user}@127.0.0.1', 'bash'],
    'su': ['su', '-l', '{user}', '-c', 'bash'],
    'unit': ['systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--property=User={user}',
             '--property=PAMName=login', '--property=WorkingDirectory=~', 'bash'],
}


class Session:
    """A login session with a shell in it."""

    END = 'the-command-has-ended'

    def __init__(self, user, way='ssh'):
        self.user, self.uid = user, pwd.getpwnam(user).pw_uid
        self.shell = subprocess.Popen([word.format(user=user) for word in WAYS[way]], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
        self.id = self.run('echo $XDG_SESSION_ID').strip()
        assert self.id, f'{user} has no session by {way}'

    def run(self, command, status=0):
        """Runs a command in the session; gives its output. status: None for any."""
        self.shell.stdin.write(f'{{ {command}\n}} </dev/null 2>&1; code=$?; echo; echo {self.END} $code\n')
        self.shell.stdin.flush()
        output = ''
        for line in self.shell.stdout:
            if line.startswith(self.END):
                code = int(line.split()[1])
                output = output[:-1] if output.endswith('\n\n') else output.rstrip('\n')
                assert status is None or code == status, \
                    f'{self.user}: {command}: status {code}\n{output}'
                return output
            output += line
        raise AssertionError(f'the session of {self.user} has ended: {output}')

    def bits(self, *words, status=0):
        """`bits --json` in the session; the parsed output."""
        return parse(self.run(shlex.join(['bits', '--json', *map(str, words)]), status))

    def leave_behind(self, seconds=1000):
        """A process that outlives the logout; gives its id."""
        return int(self.run(f'setsid sleep {seconds} >/dev/null 2>&1 & echo $!'))

    def properties(self, *names):
        return logind_session(self.id, *names)

    def logout(self):
        """The shell ends, as by exit; returns when it has."""
        with contextlib.suppress(BrokenPipeError):
            self.shell.stdin.close()
        self.shell.wait(DEADLINE)
        self.shell.stdout.close()

    def terminate(self):
        """Ended by logind, with all its processes."""
        sh(f'loginctl terminate-session {self.id}')
        self.logout()

    def wait_gone(self):
        poll(lambda: not logind_session(self.id, 'State'), f'the end of session {self.id}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.logout()
        sh(f'loginctl kill-session {self.id} --signal=KILL', status=None)


def login(user, way='ssh'):
    return Session(user, way)


def logind_session(identifier, *names):
    """Properties of a session; {} when logind knows it no more. One name: its value or None."""
    result = subprocess.run(['loginctl', '--no-pager', 'show-session', identifier,
                             *(f'--property={name}' for name in names)],
                            capture_output=True, text=True)
    found = dict(line.split('=', 1) for line in result.stdout.splitlines() if '=' in line)
    return found.get(names[0]) if len(names) == 1 else found


def user_state(user):
    """logind's word: offline, lingering, online, active, closing."""
    result = subprocess.run(['loginctl', '--no-pager', 'show-user', user, '--property=State',
                             '--value'], capture_output=True, text=True)
    return result.stdout.strip() or 'offline'


def sign_off(user):
    """Ends everything that the user has, now; for the end of a scenario."""
    sh(f'loginctl disable-linger {user}', status=None)
    sh(f'loginctl terminate-user {user}', status=None)
    sh(f'pkill -KILL -u {user}', status=None)
    poll(lambda: user_state(user) in ('offline', 'closing'), f'{user} to be signed off')


@contextlib.contextmanager
def signed_on(user):
    """In a session meanwhile: his jobs run. Serves as a decorator of scenarios as well."""
    with login(user) as session:
        try:
            yield session
        finally:
            session.logout()
            sign_off(user)


# ---- the domain

def kinit(session, cache=None, lifetime=None):
    """A ticket for the session's user, in his default cache or the one named."""
    words = [f'KRB5CCNAME={shlex.quote(cache)}'] if cache else []
    words += ['kinit', *([f'-l {lifetime}'] if lifetime else []), session.user]
    session.run(f'echo krb-{session.user} | {" ".join(words)}')


def kdestroy(session, cache=None):
    """Keyrings are known to the whole kernel, and outlive the machine."""
    session.run((f'KRB5CCNAME={shlex.quote(cache)} ' if cache else '') + 'kdestroy -A', status=None)


# ---- what servers wrote down

class Log:
    """What one server wrote down since this object was made: web, proxy-negotiate, proxy-basic,
    proxy-digest or tls."""

    def __init__(self, server):
        self.path = pathlib.Path('/var/log/who', server)
        self.begin = self.path.stat().st_size if self.path.exists() else 0

    def requests(self):
        """Dictionaries: user ("" for nobody), port, status, method, path."""
        if not self.path.exists():
            return []
        text = self.path.read_text(errors='replace')[self.begin:]
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith('\n')]
        for request in found:
            request['user'] = '' if request['user'] == '-' else request['user']
        return found

    def users(self, status=200):
        """Who was served, without repetition."""
        return sorted({request['user'] for request in self.requests()
                       if request['status'] == status})


# ---- jobs

def bits(*words, user=None, status=0):
    """`bits --json` outside of any session; the parsed output."""
    return parse(sh(shlex.join(['bits', '--json', *map(str, words)]), user, status))


def job_of(identifier, user=None):
    """What `bits show` says of a job."""
    [job] = bits('show', identifier, user=user)
    return job


def wait_state(identifier, *states, timeout=DEADLINE):
    return poll(lambda: (job := job_of(identifier))['state'] in states and job,
                f'job {identifier} in {"/".join(states)}', timeout)


def wait_bytes(identifier, count=1, timeout=DEADLINE):
    """Waits until the job has received that many bytes."""
    return poll(lambda: (job := job_of(identifier))['bytes-transferred'] >= count and job,
                f'{count} bytes of job {identifier}', timeout)


def hurry(identifier):
    """A job that trickled has the rest as fast as others: the same file, by another name."""
    bits('replace-prefix', identifier, TRICKLE, f'http://{TLS}/large')


def start_job(url, target, user=None, session=None):
    """A resumed job with one file; its id."""
    run = session.bits if session else lambda *words: bits(*words, user=user)
    identifier = run('create', pathlib.Path(target).name)[0]['id']
    run('add', identifier, url, target)
    run('resume', identifier)
    return identifier


def service_job(name, url, kind='download'):
    """A job of svc-sync with a file of that name in its own directory; suspended."""
    run = ('systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--property=User=svc-sync')
    identifier = sh(shlex.join([*run, 'bits', 'create', '--type', kind, name])).strip()
    sh(shlex.join([*run, 'bits', 'add', identifier, url, f'/srv/vault/{name}']))
    return identifier


WORKERS = ('bits-file', 'bits-net', 'bits-keeper', 'bits-pac')


def workers(uid):
    """Ids of the workers that run as that user, and of what they started."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/status'):
        with contextlib.suppress(OSError):
            text = path.read_text()
            fields = dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)
            if fields['Name'] in WORKERS and int(fields['Uid'].split()[0]) == uid:
                found.append(int(path.parent.name))
    return found


def connections(address, port):
    """The uids of those who are connected with that server, as the kernel knows them."""
    number = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    lines = pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]
    return {int(fields[7]) for fields in map(str.split, lines)
            if fields[2] == f'{number:08X}:{port:04X}' and fields[3] == '01'}


def bus_connection():
    """A connection of test/bus.py to the system bus, as the calling thread's user."""
    import bus
    return bus.Connection.to_bus('unix:path=/run/dbus/system_bus_socket')


def same(path, served='/srv/web/open/large'):
    return pathlib.Path(path).read_bytes() == pathlib.Path(served).read_bytes()


def owner_and_mode(path):
    found = os.stat(path)
    return pwd.getpwuid(found.st_uid).pw_name, found.st_mode & 0o7777


def settle():
    """The service as after a boot: running, nothing in its queue."""
    systemctl('reset-failed', *DAEMONS)
    systemctl('start', *SOCKETS, *DAEMONS)
    for entry in bits('list', '--all-users'):
        bits('cancel', entry['id'])


# ---- helper tokens

TOKEN_REQUIRED = '0x80200056'
TRICKLE = f'http://{TLS}/trickle/large'     # more than a minute for the whole
# What a sign-off may take until it has been obeyed: at once, on a machine that may stand still now and then, and
# long before the login manager forgets the user, ten seconds later.
AT_ONCE = 6.0

SEND_TOKEN = '''
import array, os, socket, sys
sys.path.insert(0, "/test")
sys.dont_write_bytecode = True
import bus
fd = bus.capture_token("/run/openbits/token")
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    socket.send_fds(s, [b"t"], [fd])
'''


def token_of(session):
    """A token captured by a process in that session; the caller's descriptor."""
    path = '/run/token-of-a-session'
    pathlib.Path('/run/send-token.py').write_text(SEND_TOKEN)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(1)
        session.run(f'/usr/bin/python3 /run/send-token.py {path}')
        connection, _ = listener.accept()
        with connection:
            _, [fd], _, _ = socket.recv_fds(connection, 1, 1)
    return fd


def give_token(identifier, fd, flags):
    """root gives the job that helper, with what it does: 'network', 'local-file,network'."""
    import bus
    with bus_connection() as connection:
        bus.Manager(connection).job(identifier).set_helper_token(fd)
    os.close(fd)
    bits('token', 'flags', identifier, flags)


def lend(identifier, user, flags):
    """root captures a token of that user outside of any session, and gives it to the job."""
    bits('token', 'set', identifier, '--as', user)
    bits('token', 'flags', identifier, flags)


def expect_dropped(identifier):
    """At once: the job asks for a token, and has none."""
    job = wait_state(identifier, 'error', timeout=AT_ONCE)
    assert job['error']['code'] == TOKEN_REQUIRED and job['helper-sid'] is None
    return job


def expect_kept(*identifiers, seconds=1.5):
    """The jobs are as they were, for that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for identifier in identifiers:
            job = job_of(identifier)
            assert job['state'] not in ('error', 'suspended') and job['helper-sid'], job
        time.sleep(0.1)


def use_implicit_credentials(identifier, target='server'):
    """SetCredentials(target, negotiate, implicit): the identity's own may go out."""
    import bus
    with bus_connection() as connection:
        bus.Manager(connection).job(identifier).call('SetCredentials', 'ssbss', target,
                                                     'negotiate', True, '', '')


@contextlib.contextmanager
def proxy(port):
    """All connections of workers go through that proxy."""
    folder = pathlib.Path('/run/systemd/system/bits-broker.service.d')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'proxy.conf').write_text(
        f'[Service]\nEnvironment=http_proxy=http://{PROXY}:{port}\n')
    systemctl('daemon-reload')
    systemctl('restart', 'bits-broker.service')
    try:
        yield
    finally:
        (folder / 'proxy.conf').unlink()
        systemctl('daemon-reload')
        systemctl('restart', 'bits-broker.service')
