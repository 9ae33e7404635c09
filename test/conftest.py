"""What the tests with real programs share: a playground a module, and a World a test.

As root the playground is the system's service with three ordinary users, alice, bob and carol; as
anybody else it is `bitsd --user` with one identity, and tests that need root are skipped by name.
OPENBITS_BUILD names the meson build folder (default: build/).

A World is one test's share of the module's playground: connections as any user, directories, files
on the faulty server. Its end cancels every job, so that tests do not meet, and checks that no
daemon died without being asked to.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / 'tools')]

import bus  # noqa: E402
import error_tables  # noqa: E402
import playground_lib  # noqa: E402
from faulty_server import Server, content  # noqa: E402

# Whoever is started in the background of a shell ignores Ctrl-C, and whoever is started by nohup the
# end of the terminal; so would all that tests start.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

ROOT = playground_lib.may_switch_identity()
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_BIND = 0x20000, 0x4000, 0x40000, 0x1000
USERS = {'bits-alice': 61001, 'bits-bob': 61002, 'bits-carol': 61003}
DAEMONS = {'bits-broker': 'broker', 'bitsd': 'bitsd'}


def load_library():
    """libopenbits, in this process, which has no sanitizer: where the library has one, the test is skipped."""
    if 'OPENBITS_SANITIZERS' in os.environ:
        pytest.skip('Python, which loads the library, has no sanitizer')
    return ctypes.CDLL(playground_lib.default_build() + '/src/client/libopenbits.so.0')


def with_private_accounts():
    """Gives this process and its children a mount namespace where the test users have accounts; the
    machine's own /etc stays as it is, and what tests mount ends with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b'/', None, MS_REC | MS_PRIVATE, None):
        return False    # then the users are bare numbers
    for path, line in (('/etc/passwd', '{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n'),
                       ('/etc/group', '{0}:x:{1}:\n')):
        with tempfile.NamedTemporaryFile('w', prefix='openbits-') as file:
            file.write(pathlib.Path(path).read_text())
            file.writelines(line.format(*user) for user in USERS.items())
            file.flush()
            os.chmod(file.name, 0o644)
            if libc.mount(file.name.encode(), path.encode(), None, MS_BIND, None):
                return False
    return True


if ROOT:
    with_private_accounts()


def temporary_files(directory):
    """The temporary files of jobs in a directory."""
    return [path for path in sorted(pathlib.Path(directory).iterdir())
            if path.name.startswith('.') and '.bits-' in path.name]


# ---- servers ----

class Site:
    """An nginx with a folder to publish in."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.server = playground_lib.Nginx(folder)
        self.count = 0

    def publish(self, name, data, modified=None, scheme='http'):
        """Serves the bytes under a name of its own; gives the URL."""
        self.count += 1
        path = self.folder / str(self.count) / name
        path.parent.mkdir()
        path.write_bytes(data)
        if modified:
            os.utime(path, (modified, modified))
        return self.server.url(f'{self.count}/{name}', https=scheme == 'https')


@pytest.fixture(scope='session')
def nginx():
    folder = tempfile.mkdtemp(prefix='openbits-site-')
    os.chmod(folder, 0o755)
    site = Site(folder)
    with site.server:
        yield site
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='session')
def server():
    """The faulty server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope='session')
def secure_server(nginx):
    """A faulty https server whose certificate the workers trust."""
    work = nginx.server.work
    server = Server(certificate=f'{work}/server.pem', key=f'{work}/server.key')
    yield server
    server.close()


@pytest.fixture(scope='session')
def untrusted_server():
    """A faulty https server whose certificate nobody signed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key', '-out', 'pem'],
                       cwd=folder, check=True, capture_output=True)
        server = Server(certificate=f'{folder}/pem', key=f'{folder}/key')
    yield server
    server.close()


# ---- the playground ----

def new_playground(nginx, **environment):
    playground = playground_lib.Playground(user_mode=not ROOT, environment={
        'SSL_CERT_FILE': nginx.server.ca_file, **environment})
    playground.presented = set()      # users whom its broker has seen
    return playground


@pytest.fixture(scope='module')
def playground(nginx):
    playground = new_playground(nginx)
    playground.start()
    yield playground
    failures = playground.stop(check=False)
    reports = [f for f in failures if 'anitizer' in f or 'runtime error' in f or 'SIGTERM' in f]
    assert not reports      # the deaths have been told to the tests where they happened


@pytest.fixture(scope='module')
def root_playground(request):
    if not ROOT:
        pytest.skip('needs root: several identities')
    return request.getfixturevalue('playground')


class World:
    """One test's share of a playground."""

    def __init__(self, playground, server):
        self.playground, self.server, self.root = playground, server, ROOT
        own = os.geteuid()
        self.alice, self.bob, self.carol = USERS.values() if ROOT else (own, own, own)
        self.base = pathlib.Path(tempfile.mkdtemp(prefix='openbits-test-'))
        self.base.chmod(0o711)
        self.count = 0
        self.paths = []
        self.connections = {}
        self.extra_connections = []
        self.failures = len(self._status()['failures'])
        self.log_sizes = {name: len(playground.log(name)) for name in ('broker', 'bitsd')}

    def _status(self):
        return self.playground.ask(do='status')

    # files and content

    def vault(self, uid=None, mode=0o700):
        """A new directory of that user, for nobody else."""
        self.count += 1
        path = self.base / f'vault{self.count}'
        path.mkdir(mode)
        if self.root:
            os.chown(path, self.alice if uid is None else uid, self.alice if uid is None else uid)
        path.chmod(mode)
        return path

    def put(self, size, server=None, **fields):
        """A new resource on the faulty server; gives its URL."""
        self.count += 1
        path = f'/{self.base.name}/{self.count}'
        server = server or self.server
        self.paths.append((server, path))
        return server.put(path, size, **fields)

    @staticmethod
    def path_of(url):
        return '/' + url.split('/', 3)[3]

    def resource(self, url):
        return next(server.resources[path] for server, path in self.paths
                    if server.url(path) == url)

    def bytes(self, url, version=None):
        resource = self.resource(url)
        return content(resource.name, version or resource.version, resource.size)

    # the service

    def connect(self, uid=None):
        """A new connection to the bus as that user (alice unless told)."""
        uid = self.alice if uid is None else uid
        with bus.impersonate(uid):
            connection = bus.Connection.to_bus(
                self.playground.environment['DBUS_SYSTEM_BUS_ADDRESS'])
        self.extra_connections.append(connection)
        self.present(uid)
        return connection

    def present(self, uid):
        """Shows the user to the broker, once, as the library does it when it connects."""
        if uid not in self.playground.presented:
            with bus.impersonate(uid):
                os.close(bus.capture_token(os.path.join(self.playground.runtime, 'run', 'token')))
            self.playground.presented.add(uid)

    def manager(self, uid=None):
        """The manager as that user sees it, over one connection a user."""
        uid = self.alice if uid is None else uid
        if uid not in self.connections:
            self.connections[uid] = self.connect(uid)
        return bus.Manager(self.connections[uid])

    def start(self, url, target, uid=None, no_progress_timeout=None, **options):
        """A job with one file, resumed."""
        job = self.manager(uid).create('job', **options)
        job.add(url, target)
        if no_progress_timeout is not None:
            job.set('NoProgressTimeout', no_progress_timeout)
        job.resume()
        return job

    def handle(self, fd):
        connection = bus.Connection.to_handle(fd)
        self.extra_connections.append(connection)
        return connection

    def token(self, uid, gid=None, groups=()):
        """A token captured as that user; the caller's descriptor."""
        path = self.manager().get('TokenSocket')
        with bus.impersonate(uid, gid, groups):
            return bus.capture_token(path)

    def set_token(self, job, uid, flags=None, **identity):
        """Makes that user the job's helper, for what the flags say if there are some."""
        fd = self.token(uid, **identity)
        try:
            job.set_helper_token(fd)
        finally:
            os.close(fd)
        if flags is not None:
            job.set_helper_flags(flags)

    def restart(self, name):
        """Kills a daemon and waits until its successor is ready."""
        name = DAEMONS.get(name, name)
        self.playground.kill(name, signal.SIGKILL)
        self.playground.wait_restarted(name)

    def wait_for_room(self, job):
        """Until the job's user may have a handle again."""
        def open_again():
            try:
                os.close(self.manager().open(job.id))
                return True
            except bus.BusError:
                return False
        bus.poll_until(open_again, 'the room to come back')

    def kept(self, job, number=0):
        """The stored watermark of one file of the job: what counts as kept."""
        with self.database() as database:
            row = database.execute('SELECT files.kept FROM files JOIN jobs ON files.job = jobs.row '
                                   'WHERE jobs.id = ? AND number = ?', (job.id, number)).fetchone()
        return row[0] if row else 0

    @contextlib.contextmanager
    def database(self):
        """A copy of the manager's database, made while the manager stands still: it lets nobody
        else open it."""
        state = pathlib.Path(self.playground.state, 'openbits')
        pids = self.playground.pids('bitsd')
        with tempfile.TemporaryDirectory(dir=self.base) as copy:
            with bus.standing_still(pids):
                for path in state.glob('jobs.sqlite*'):
                    if not path.name.endswith('-shm'):
                        shutil.copy(path, copy)
            with contextlib.closing(sqlite3.connect(f'{copy}/jobs.sqlite')) as database:
                yield database

    def daemons(self):
        """The daemons' process ids, to see that they are still the same."""
        return self.playground.pids('bitsd') + self.playground.pids('broker')

    # the end

    def logs(self):
        """What the daemons wrote during this test."""
        return '\n'.join(f'---- {name} ----\n{self.playground.log(name)[size:][-8000:]}'
                         for name, size in self.log_sizes.items())

    def close(self):
        for server, path in self.paths:
            server.release(path)
        try:
            # Several users only exist for root, who may then end everybody's jobs.
            manager = bus.Manager(self.connect(0 if self.root else None))
            for entry in manager.list(**({'AllUsers': True} if self.root else {})):
                bus.Job(manager.bus, entry['Path']).cancel()
            failures = self._status()['failures'][self.failures:]
        finally:
            for connection in self.extra_connections:
                connection.close()
            for server, path in self.paths:
                server.resources.pop(path, None)
            shutil.rmtree(self.base, ignore_errors=True)
        assert not failures, failures


def offset(request):
    """Where the client asked the server to begin."""
    return int(request.headers.get('range', 'bytes=0-').removeprefix('bytes=').rstrip('-'))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.when == 'call' and report.failed and 'world' in item.funcargs:
        report.sections.append(('daemons', item.funcargs['world'].logs()))


@pytest.fixture(scope='session', autouse=True)
def every_error_is_a_documented_one():
    """JOB-401: whatever a test reads from a job is held against doc/errors.md."""
    read = bus.Job.error

    def read_and_check(job):
        fault = read(job)
        assert not error_tables.complaint(fault), error_tables.complaint(fault)
        return fault
    bus.Job.error = read_and_check
    yield
    bus.Job.error = read


@pytest.fixture
def world(playground, server):
    world = World(playground, server)
    yield world
    world.close()


@pytest.fixture
def forgetful_world(nginx, server):
    """A service manager that keeps no descriptors: a token ends with either daemon."""
    if not ROOT:
        pytest.skip('needs root: several identities')
    playground = playground_lib.Playground(user_mode=False, fd_store=False,
                                           environment={'SSL_CERT_FILE': nginx.server.ca_file})
    playground.presented = set()
    with playground:
        world = World(playground, server)
        yield world
        world.close()


@pytest.fixture
def root_world(root_playground, server):
    """A World with several users; skips where there is only one."""
    world = World(root_playground, server)
    yield world
    world.close()


