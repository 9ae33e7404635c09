"""Who may manage other users' jobs, asked of a real polkitd on the playground's bus.

carol is let by a rule, bob is refused by one, alice would have to authenticate and nobody is there
to ask her. polkitd runs in a mount namespace with rules and actions of its own.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import uuid

import pytest

import bus
from bus import refused
import conftest

POLKITD = pathlib.Path('/usr/lib/polkit-1/polkitd')
POLKIT_NAME = 'org.freedesktop.PolicyKit1'
POLICY = conftest.HERE.parent / 'data' / 'org.openbits.policy'
QUESTIONS_PER_USER = 32

BUS_EXTRA = f'''
  <policy user="polkitd"><allow own="{POLKIT_NAME}"/></policy>
  <policy context="default"><allow send_destination="{POLKIT_NAME}"/></policy>
'''
RULES = '''
polkit.addRule(function(action, subject) {
    if (action.id != "org.openbits.manage-all-jobs") return polkit.Result.NOT_HANDLED;
    if (subject.user == "bits-carol") return polkit.Result.YES;
    if (subject.user == "bits-bob") return polkit.Result.NO;
    return polkit.Result.AUTH_ADMIN;
});
'''


class Polkit:
    """A polkitd with the rules above."""

    def __init__(self, folder, playground):
        self.folder, self.playground = pathlib.Path(folder), playground
        for name in ('rules', 'actions'):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / 'rules' / '10-test.rules').write_text(RULES)
        policy = POLICY.read_text()
        assert 'unix-user:bitsd' in policy
        (self.folder / 'actions' / 'org.openbits.policy').write_text(
            policy.replace('unix-user:bitsd', f'unix-user:{playground.manager_uid}'))

    def start(self):
        script = (f'mount --bind {self.folder}/rules /etc/polkit-1/rules.d && '
                  f'mount --bind {self.folder}/actions /usr/share/polkit-1/actions && '
                  f'exec {POLKITD} --no-debug')
        with open(self.folder / 'log', 'a') as log:
            self.process = subprocess.Popen(
                ['unshare', '--mount', 'sh', '-c', script], stdout=log, stderr=log,
                env={**os.environ, **self.playground.environment})
        with bus.Connection.to_bus(self.playground.environment['DBUS_SYSTEM_BUS_ADDRESS']) as c:
            bus.poll_until(lambda: self._is_there(c), 'polkitd to own its name')

    def _is_there(self, connection):
        assert self.process.poll() is None, (self.folder / 'log').read_text()
        return connection._driver('NameHasOwner', 's', POLKIT_NAME)

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope='module')
def playground(nginx):
    if not conftest.ROOT:
        pytest.skip('needs root: several identities')
    if not POLKITD.exists():
        pytest.skip('polkitd is not installed')
    playground = conftest.new_playground(nginx)
    playground.bus_extra = BUS_EXTRA
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(scope='module')
def polkit(playground):
    folder = tempfile.mkdtemp(prefix='openbits-polkit-')
    os.chmod(folder, 0o755)
    polkit = Polkit(folder, playground)
    polkit.start()
    yield polkit
    polkit.stop()
    shutil.rmtree(folder)


@pytest.fixture
def world(root_world, polkit):
    return root_world


def answer(call, *arguments):
    """Everything that a caller learns, but for the id that he named himself."""
    try:
        return call(*arguments)
    except bus.BusError as error:
        return error.name, error.text.replace(str(arguments[0]), 'ID')


# ---- allowed ----

def test_who_is_let_lists_reads_and_changes_all_jobs(world):
    # SEC-90
    job = world.manager(world.alice).create('of alice')
    carol = world.manager(world.carol)
    assert job.id not in [entry['Id'] for entry in carol.list()]
    assert job.id in [entry['Id'] for entry in carol.list(AllUsers=True)]
    foreign = carol.job(job.id)
    foreign.set('DisplayName', 'seen by carol')
    assert job.get('DisplayName') == 'seen by carol'
    url = world.put(1000)
    target = world.vault() / 'a'
    held = bus.Job(world.handle(carol.open(job.id)), job.path)
    held.add(url, target)
    held.resume()
    job.wait('transferred')
    assert foreign.complete() == 0
    assert target.stat().st_uid == world.alice      # managed by her, done by him


def test_who_was_let_list_all_jobs_hears_of_them(world):
    # CLI-490
    job = world.manager(world.alice).create('of alice')
    connection = world.connect(world.carol)
    carol = bus.Manager(connection)
    carol.call('Subscribe')
    job.set('Priority', 'low')
    carol.list()
    connection.drain()
    assert [s for s in connection.signals if s.path == bus.ROOT] == []
    carol.list(AllUsers=True)
    job.set('Priority', 'high')
    connection.wait_signal(lambda s: s.member == 'Changed' and s.path == bus.ROOT)
    job.cancel()
    assert connection.wait_signal(lambda s: s.member == 'JobRemoved').body[0] == job.id


def test_path_of_a_foreign_job_needs_a_handle_first(world):
    # SEC-90
    job = world.manager(world.alice).create()
    carol = bus.Manager(world.connect(world.carol))
    unopened = bus.Job(carol.bus, job.path)
    assert refused(unopened.get, 'State') == 'UnknownObject'
    carol.job(job.id)
    assert unopened.get('State') == 'suspended'
    other = bus.Manager(world.connect(world.carol))
    assert refused(bus.Job(other.bus, job.path).get, 'State') == 'UnknownObject'


def test_who_is_let_gives_a_helper_but_no_administrator(world):
    # SEC-92, TOK-81
    job = world.manager(world.alice).create()
    foreign = world.manager(world.carol).job(job.id)
    token = world.token(world.bob)
    foreign.set_helper_token(token)
    foreign.set_helper_flags(bus.NETWORK)
    assert foreign.helper_sid() == f'S-1-22-1-{world.bob}'
    os.close(token)
    # TOK-461
    foreign.bus.call(foreign.path, bus.PROPERTIES, 'Set', 'ssv', bus.TOKEN_OPTIONS,
                     'HelperCredentialCache', ('s', 'FILE:/tmp/a-cache'))
    token = world.token(0)
    assert refused(foreign.set_helper_token, token) == 'AccessDenied'
    os.close(token)


def test_who_is_let_only_reads_jobs_of_root(world):
    # SEC-92: to manage jobs is not to be root
    job = world.manager(0).create('of root')
    foreign = world.manager(world.carol).job(job.id)
    assert foreign.get('DisplayName') == 'of root' and foreign.get('OwnerElevated') is True
    assert refused(foreign.set, 'DisplayName', 'x') == 'AccessDenied'
    assert refused(foreign.add, world.put(10), '/etc/cron.d/x') == 'AccessDenied'
    assert refused(foreign.resume) == 'AccessDenied'
    assert refused(foreign.cancel) == 'AccessDenied'
    assert refused(foreign.helper_sid) == 'AccessDenied'
    assert refused(foreign.take_ownership) == 'AccessDenied'
    assert job.state == 'suspended'


# TOK-463
def test_who_only_reads_does_not_learn_who_the_helper_is(world):
    job = world.manager(0).create('of root')
    world.set_token(job, world.bob, bus.NETWORK)
    job.add(world.put(10), world.vault(0) / 'a')
    job.clear_helper_token()
    job.resume()
    job.wait('error')
    assert f'--as {world.bob}' in job.get('WaitReason')
    foreign = world.manager(world.carol).job(job.id)
    assert '--as USER' in foreign.get('WaitReason')
    assert refused(foreign.bus.call, foreign.path, bus.PROPERTIES, 'Get', 'ss', bus.TOKEN_OPTIONS,
                   'HelperCredentialCache') == 'AccessDenied'
    result = world.playground.run(['bits', 'show', job.id], uid=world.carol)
    lines = dict(line.split('  ', 1) for line in result.stdout.splitlines() if '  ' in line)
    assert result.returncode == 0 and str(world.bob) not in result.stdout
    assert lines['network as'].strip() == lines['helper-sid'].strip() == 'only the owner may ask'


def test_who_is_let_takes_a_job_over(world):
    # HND-40, SEC-90
    job = world.manager(world.alice).create('for carol')
    carol = world.manager(world.carol)
    held = bus.Job(world.handle(carol.open(job.id)), job.path)
    held.take_ownership()
    assert job.id in [entry['Id'] for entry in carol.list()]
    assert carol.job(job.id).get('OwnerUid') == world.carol
    assert refused(world.manager(world.alice).job, job.id) == 'NotFound'


def test_owner_without_administrator_rights_is_asked_on_the_bus(world):
    # HND-42
    own = world.manager(world.carol).create()
    own.take_ownership()
    assert own.get('OwnerUid') == world.carol
    assert refused(world.manager(world.bob).create().take_ownership) == 'AccessDenied'
    held = bus.Job(world.handle(world.manager(world.carol).open(own.id)), own.path)
    assert refused(held.take_ownership) == 'AccessDenied'     # nobody can be asked on a socket


# ---- refused, and without telling anything ----

@pytest.mark.parametrize('interactive', [False, True])
@pytest.mark.parametrize('who', ['alice', 'bob'])
def test_foreign_job_and_no_job_have_the_same_answer(world, who, interactive):
    # SEC-91
    job = world.manager(world.carol).create('secret')
    connection = world.connect(getattr(world, who))
    connection.interactive = interactive
    manager = bus.Manager(connection)
    absent = str(uuid.uuid4())
    for call in (manager.job, manager.open):
        real = answer(call, job.id)
        assert real == answer(call, absent)
        assert real[0].endswith('.AccessDenied' if interactive and who == 'alice' else '.NotFound')
    paths = [job.path, job.path.rsplit('/', 1)[0] + '/' + absent.replace('-', '')]
    states = [answer(lambda path: bus.Job(connection, path).get('State'), path) for path in paths]
    assert states[0] == states[1]


def test_authentication_that_nobody_can_ask_for_is_a_clear_error(world):
    # SEC-91, SEC-94
    connection = world.connect(world.alice)
    connection.interactive = True
    manager = bus.Manager(connection)
    for call in (lambda: manager.job(str(uuid.uuid4())), lambda: manager.list(AllUsers=True)):
        with pytest.raises(bus.BusError) as caught:
            call()
        assert caught.value.short == 'AccessDenied'
        assert 'agent' in caught.value.text and 'root' in caught.value.text
    connection.interactive = False
    with pytest.raises(bus.BusError) as caught:
        manager.list(AllUsers=True)
    assert caught.value.short == 'AccessDenied' and 'authenticate' in caught.value.text


def test_refused_by_a_rule(world):
    # SEC-61, SEC-94
    for interactive in (False, True):
        connection = world.connect(world.bob)
        connection.interactive = interactive
        assert refused(lambda: bus.Manager(connection).list(AllUsers=True)) == 'AccessDenied'


# ---- polkit that is slow, or gone ----

def test_slow_polkit_delays_nobody_else(world, polkit):
    # SEC-93
    job = world.manager(world.alice).create('of alice')
    connection = world.connect(world.carol)
    bus.Manager(connection).list()
    polkit.process.send_signal(signal.SIGSTOP)
    try:
        waiting = connection.send(bus.ROOT, bus.MANAGER, 'OpenJob', 's', job.id)
        leaving = world.connect(world.carol)
        leaving.send(bus.ROOT, bus.MANAGER, 'OpenJob', 's', job.id)
        leaving.close()
        own = bus.Manager(connection).create('meanwhile')
        assert own.state == 'suspended'
        assert job.get('State') == 'suspended'
        assert world.manager(0).list(AllUsers=True)       # root is not asked about
    finally:
        polkit.process.send_signal(signal.SIGCONT)
    fd = connection.reply(waiting).to_raw_fd()
    assert bus.Job(world.handle(fd), job.path).get('DisplayName') == 'of alice'


def test_waiting_questions_are_bounded(world, polkit):
    # SEC-93
    connection = world.connect(world.carol)
    absent = str(uuid.uuid4())
    bus.Manager(connection).list()
    polkit.process.send_signal(signal.SIGSTOP)
    try:
        serials = [connection.send(bus.ROOT, bus.MANAGER, 'GetJob', 's', absent)
                   for _ in range(QUESTIONS_PER_USER + 3)]
        for serial in serials[QUESTIONS_PER_USER:]:
            assert refused(connection.reply, serial) == 'LimitsExceeded'
    finally:
        polkit.process.send_signal(signal.SIGCONT)
    for serial in serials[:QUESTIONS_PER_USER]:
        assert refused(connection.reply, serial) == 'NotFound'
    assert refused(bus.Manager(connection).job, absent) == 'NotFound'


def test_without_polkit_only_root_manages(world, polkit):
    # SEC-94
    job = world.manager(world.alice).create()
    polkit.stop()
    try:
        carol = world.manager(world.carol)
        assert refused(lambda: carol.list(AllUsers=True)) == 'AccessDenied'
        assert refused(carol.job, job.id) == 'NotFound'
        assert job.id in [entry['Id'] for entry in world.manager(0).list(AllUsers=True)]
    finally:
        polkit.start()
    assert world.manager(world.carol).job(job.id).get('State') == 'suspended'
