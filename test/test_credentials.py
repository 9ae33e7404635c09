"""Who is shown to servers and proxies: a real KDC, Apache and Squid; their access logs witness.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import os
import pathlib
import stat

import pytest

import bus
import conftest
import servers
from conftest import USERS

DATA = os.urandom(200_000)
E401, E407 = 0x80190191, 0x80190197
ALICE, BOB, CAROL = USERS              # account names, and Kerberos names in the realm
PASSWORDS = {'paul': 'sEcret-paul-71', 'mary': 'sEcret-mary-72'}
OVERRIDE, NO_PROXY, PRECONFIG = 'override', 'no-proxy', 'preconfig'

pytestmark = [pytest.mark.skipif(not conftest.ROOT, reason='needs root: several identities'),
              pytest.mark.skipif(bool(servers.missing()),
                                 reason=f'not installed: {" ".join(servers.missing())}')]


@pytest.fixture(scope='module')
def realm():
    realm = servers.Realm(USERS)
    yield realm
    realm.close()


@pytest.fixture(scope='module')
def apache(realm):
    apache = servers.Apache(realm, PASSWORDS)
    apache.publish('file', DATA)
    yield apache
    apache.close()


@pytest.fixture(scope='module')
def squids(realm, apache):
    """By scheme; each starts when it is first asked for."""
    class Squids(dict):
        def __missing__(self, scheme):
            self[scheme] = servers.Squid(realm, PASSWORDS, scheme)
            return self[scheme]
    squids = Squids()
    yield squids
    for squid in squids.values():
        squid.close()


@pytest.fixture(scope='module')
def playground(nginx, realm):
    playground = conftest.new_playground(nginx, KRB5_CONFIG=str(realm.config))
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture
def world(playground, server, realm, apache, squids):
    world = conftest.World(playground, server)
    realm.kdestroy(*USERS.values())
    for log in [apache.log, *(squid.log for squid in squids.values())]:
        log.mark()
    yield world
    world.close()


def explicit(job, target, scheme, user='paul', password=None):
    job.call('SetCredentials', 'ssbss', target, scheme, False, user, password or PASSWORDS[user])


def implicit(job, target, scheme='negotiate'):
    job.call('SetCredentials', 'ssbss', target, scheme, True, '', '')


def use_proxy(job, address, bypass=''):
    job.call('SetProxySettings', 'sss', OVERRIDE, address, bypass)


def make(world, url, uid=None, vault=None):
    job = world.manager(uid).create()
    target = (vault or world.vault(uid)) / 'a'
    job.add(url, target)
    return job, target


def fetched(job, target):
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == DATA


def failed(job):
    job.resume()
    job.wait('error')
    return job.error()


# ---- the classic case ----

# TOK-30, NET-55, NET-56, NET-57, NET-70
def test_service_account_writes_and_domain_user_is_shown(world, realm, apache, squids):
    squid = squids['negotiate']
    realm.kinit(world.bob, BOB)
    before = realm.cache(world.bob).read_bytes(), realm.cache(world.bob).stat()
    vault = world.vault(world.alice)
    job, target = make(world, apache.url('negotiate', 'file'), vault=vault)
    world.set_token(job, world.bob, bus.NETWORK)
    use_proxy(job, squid.address)
    implicit(job, 'proxy')              # also for the server, which has none of its own: NET-52
    fetched(job, target)
    assert target.stat().st_uid == world.alice
    assert apache.log.shows(f'{BOB}@{servers.REALM}')
    assert squid.log.shows(f'{BOB}@{servers.REALM}')
    assert not realm.cache(world.alice).exists()
    # SEC-88: nobody wrote into bob's cache
    after = realm.cache(world.bob).read_bytes(), realm.cache(world.bob).stat()
    assert before[0] == after[0] and before[1].st_mtime_ns == after[1].st_mtime_ns


# TOK-31
def test_reverse_case_shows_the_owner_and_writes_as_the_helper(world, realm, apache, squids):
    squid = squids['negotiate']
    realm.kinit(world.alice, ALICE)
    vault = world.vault(world.bob)
    job = world.manager().create()
    world.set_token(job, world.bob, bus.LOCAL_FILE)
    job.add(apache.url('negotiate', 'file'), vault / 'a')
    use_proxy(job, squid.address)
    implicit(job, 'proxy')
    implicit(job, 'server')
    fetched(job, vault / 'a')
    assert (vault / 'a').stat().st_uid == world.bob
    assert apache.log.shows(f'{ALICE}@{servers.REALM}')
    assert squid.log.shows(f'{ALICE}@{servers.REALM}')


# TOK-32
def test_both_flags_show_and_write_as_the_helper(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    realm.kinit(world.bob, BOB)
    vault = world.vault(world.bob)
    job = world.manager().create()
    world.set_token(job, world.bob, bus.NETWORK | bus.LOCAL_FILE)
    job.add(apache.url('negotiate', 'file'), vault / 'a')
    implicit(job, 'server')
    fetched(job, vault / 'a')
    assert (vault / 'a').stat().st_uid == world.bob
    assert apache.log.shows(f'{BOB}@{servers.REALM}')


# NET-58
@pytest.mark.parametrize('what', ['nothing', 'only the server', 'another scheme'])
def test_nobody_is_shown_without_being_told(world, realm, apache, squids, what):
    squid = squids['negotiate']
    realm.kinit(world.alice, ALICE)
    job, _ = make(world, apache.url('negotiate', 'file'))
    use_proxy(job, squid.address)
    if what == 'only the server':
        implicit(job, 'server')
    elif what == 'another scheme':
        explicit(job, 'proxy', 'basic')
    fault = failed(job)
    assert fault.code == E407 and '407' in fault.text and 'negotiate' in fault.text
    assert squid.log.wait(1) and squid.log.users() == set()
    job.call('SetProxySettings', 'sss', NO_PROXY, '', '')
    job.call('RemoveCredentials', 'ss', 'server', 'negotiate')
    fault = failed(job)
    assert fault.code == E401 and '401' in fault.text and 'set them and resume' in fault.text
    assert apache.log.wait(1) and apache.log.users() == set()


# NET-59
def test_nobody_is_shown_to_a_server_that_does_not_ask(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    job, target = make(world, apache.url('open', 'file'))
    implicit(job, 'server')
    explicit(job, 'server', 'basic')
    fetched(job, target)
    assert apache.log.wait(1) == ['- 200 GET /open/file']


# NET-50
def test_removed_implicit_credentials_are_off_again(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    job, _ = make(world, apache.url('negotiate', 'file'))
    implicit(job, 'server')
    assert job.call('RemoveCredentials', 'ss', 'server', 'negotiate') == 0
    assert job.call('RemoveCredentials', 'ss', 'server', 'negotiate') == 1
    assert failed(job).code == E401
    assert apache.log.wait(1) and apache.log.users() == set()


# ---- explicit credentials ----

# NET-55
@pytest.mark.parametrize('scheme', ['basic', 'digest'])
def test_explicit_credentials_for_the_server(world, apache, scheme):
    job, target = make(world, apache.url(scheme, 'file'))
    explicit(job, 'proxy', scheme, 'mary')
    explicit(job, 'server', scheme)
    fetched(job, target)
    assert apache.log.shows('paul')


# NET-56
@pytest.mark.parametrize('scheme', ['basic', 'digest'])
@pytest.mark.parametrize('secure', [False, True])
def test_explicit_credentials_for_the_proxy(world, nginx, apache, squids, scheme, secure):
    squid = squids[scheme]
    url = (nginx.publish('file', DATA, scheme='https') if secure else apache.url('open', 'file'))
    job, target = make(world, url)
    use_proxy(job, squid.address)
    explicit(job, 'server', scheme, 'mary')
    explicit(job, 'proxy', scheme)
    fetched(job, target)
    assert squid.log.shows('paul')
    assert apache.log.users() == set()


# NET-56, SEC-85: the scheme authenticates a connection, which then serves nobody else
@pytest.mark.parametrize('secure', [False, True])
def test_ntlm_name_and_password_for_the_proxy(world, nginx, apache, squids, secure):
    squid = squids['ntlm']
    url = (nginx.publish('file', DATA, scheme='https') if secure else apache.url('open', 'file'))
    for user, other in (('paul', 'mary'), ('mary', 'paul')):
        squid.log.mark()
        job, target = make(world, url)
        use_proxy(job, squid.address)
        explicit(job, 'proxy', 'ntlm', user)
        fetched(job, target)
        bus.poll_until(squid.log.users, 'somebody to be shown')
        assert any(user in name for name in squid.log.users())
        assert not any(other in name for name in squid.log.users())


# NET-53
@pytest.mark.parametrize('scheme', ['basic', 'digest'])
def test_wrong_password_is_told_and_a_right_one_goes_on(world, apache, scheme):
    job, target = make(world, apache.url(scheme, 'file'))
    explicit(job, 'server', scheme, password='wrong-77')
    fault = failed(job)
    assert fault.code == E401 and scheme in fault.text and 'not accepted' in fault.text
    assert 'wrong-77' not in fault.text and 'paul' not in fault.text
    explicit(job, 'server', scheme)
    fetched(job, target)


# NET-73
def test_explicit_kerberos_name_and_password(world, realm, apache):
    realm.kinit(world.alice, ALICE)     # who must not be shown
    job, target = make(world, apache.url('negotiate', 'file'))
    explicit(job, 'server', 'negotiate', CAROL, 'wrong')
    fault = failed(job)
    assert fault.code == E401 and 'ticket' in fault.text
    assert apache.log.wait(1) and apache.log.users() == set()
    explicit(job, 'server', 'negotiate', CAROL, CAROL)
    fetched(job, target)
    assert apache.log.shows(f'{CAROL}@{servers.REALM}')


# NET-54
def test_credentials_do_not_follow_to_another_host(world, apache):
    job, _ = make(world, apache.url('away', 'file'))
    explicit(job, 'server', 'basic')
    fault = failed(job)
    assert fault.code == E401 and 'redirected' in fault.text
    assert apache.log.wait(2) and apache.log.users() == set()


# SEC-85
def test_authenticated_connection_serves_no_other_job(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    job, target = make(world, apache.url('bound', 'file'))
    implicit(job, 'server')
    fetched(job, target)
    assert apache.log.shows(f'{ALICE}@{servers.REALM}')
    apache.log.mark()
    other, _ = make(world, apache.url('bound', 'file'))
    assert failed(other).code == E401
    third, _ = make(world, apache.url('bound', 'file'))
    explicit(third, 'server', 'negotiate', CAROL, CAROL)
    third.resume()
    third.wait('transferred')
    apache.log.wait(3)
    assert apache.log.shows(f'{CAROL}@{servers.REALM}')


# SEC-85: while both run, so that the first one's connection is surely there
def test_jobs_side_by_side_keep_their_identities(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    jobs = []
    for number in range(6):
        job = world.manager().create()
        job.set('Priority', 'foreground')
        job.add(apache.url('bound', 'file'), world.vault() / 'a')
        if number % 2:
            implicit(job, 'server')
        jobs.append(job)
    for job in jobs:
        job.resume()
    for number, job in enumerate(jobs):
        job.wait('transferred' if number % 2 else 'error')


# ---- tickets ----

# NET-71, NET-72
def test_expired_ticket_is_told_and_kinit_goes_on(world, realm, apache):
    realm.kinit(world.bob, BOB, lifetime='2s')
    realm.wait_expired(world.bob)
    job, target = make(world, apache.url('negotiate', 'file'))
    world.set_token(job, world.bob, bus.NETWORK)
    implicit(job, 'server')
    fault = failed(job)
    assert fault.code == E401
    assert f'the Kerberos ticket of {BOB} has expired; run kinit as {BOB} and resume' in fault.text
    realm.kinit(world.bob, BOB)
    fetched(job, target)
    assert apache.log.shows(f'{BOB}@{servers.REALM}')


# NET-71, NET-72
def test_missing_ticket_is_told_and_kinit_goes_on(world, realm, apache):
    job, target = make(world, apache.url('negotiate', 'file'))
    implicit(job, 'server')
    fault = failed(job)
    assert fault.code == E401 and f'run kinit as {ALICE}' in fault.text
    realm.kinit(world.alice, ALICE)
    fetched(job, target)
    assert apache.log.shows(f'{ALICE}@{servers.REALM}')


# NET-72
def test_kinit_while_the_worker_runs_disturbs_nobody_for_long(world, realm, apache):
    realm.kinit(world.alice, ALICE)
    url = world.put(2 << 20, stall_after=1 << 20, times=1)
    running, target = make(world, url)
    running.set('Priority', 'foreground')
    running.resume()
    world.server.wait_stalled(world.path_of(url))
    realm.kinit(world.alice, ALICE)             # another file under the same name
    job, other = make(world, apache.url('negotiate', 'file'))
    job.set('Priority', 'foreground')
    implicit(job, 'server')
    fetched(job, other)
    running.wait('transferred')
    assert running.complete() == 0
    assert target.read_bytes() == world.bytes(url)
    assert len(world.server.seen(world.path_of(url))) == 2
    assert running.get('ErrorCount') == 0


# TOK-33, TOK-37
@pytest.mark.parametrize('kind', ['FILE', 'DIR'])
def test_named_credential_cache(world, realm, apache, kind):
    folder = realm.folder / f'own-{kind}'
    folder.mkdir(mode=0o700)
    os.chown(folder, world.bob, world.bob)
    name = f'DIR:{folder}' if kind == 'DIR' else f'FILE:{folder}/cache'
    realm.kinit(world.bob, BOB, cache=name)
    job, target = make(world, apache.url('negotiate', 'file'))
    world.set_token(job, world.bob, bus.NETWORK)
    implicit(job, 'server')
    job.bus.call(job.path, bus.PROPERTIES, 'Set', 'ssv', bus.TOKEN_OPTIONS, 'HelperCredentialCache',
                 ('s', name))
    fetched(job, target)
    assert apache.log.shows(f'{BOB}@{servers.REALM}')


# TOK-34
def test_owner_names_his_own_cache(world, realm, apache):
    name = f'FILE:{realm.caches}/alices-other'
    realm.kinit(world.alice, ALICE, cache=name)
    job, target = make(world, apache.url('negotiate', 'file'))
    implicit(job, 'server')
    job.set('CredentialCache', name)
    assert job.get('CredentialCache') == name
    fetched(job, target)
    assert apache.log.shows(f'{ALICE}@{servers.REALM}')


# SEC-86
def test_cache_of_another_user_is_not_used(world, realm, apache):
    name = f'FILE:{realm.caches}/open-to-all'
    realm.kinit(world.bob, BOB, cache=name)
    os.chmod(f'{realm.caches}/open-to-all', 0o644)
    job, _ = make(world, apache.url('negotiate', 'file'))
    implicit(job, 'server')
    job.set('CredentialCache', name)
    assert failed(job).code == E401
    assert apache.log.wait(1) and apache.log.users() == set()


# TOK-37
@pytest.mark.parametrize('name', ['MEMORY:x', 'bob', 'API:', 'FILE:relative', 'FILE:/a\nb',
                                  pytest.param('/' + 'x' * 255, id='too long')])
def test_bad_cache_name(world, name):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as caught:
        job.set('CredentialCache', name)
    assert caught.value.short == 'InvalidArgument'


# TOK-35, SEC-87
def test_persistent_keyring(world, realm, apache):
    name = f'KEYRING:persistent:{world.bob}'
    try:
        realm.kinit(world.bob, BOB, cache=name)
    except AssertionError:
        pytest.skip('this kernel gives no persistent keyring')
    try:
        job, target = make(world, apache.url('negotiate', 'file'))
        world.set_token(job, world.bob, bus.NETWORK)
        implicit(job, 'server')
        job.bus.call(job.path, bus.PROPERTIES, 'Set', 'ssv', bus.TOKEN_OPTIONS,
                     'HelperCredentialCache', ('s', name))
        fetched(job, target)
        assert apache.log.shows(f'{BOB}@{servers.REALM}')
    finally:
        realm.as_user(world.bob, 'kdestroy', '-c', name)


# ---- the calls ----

# NET-50, NET-51
@pytest.mark.parametrize('arguments, name', [
    (('elsewhere', 'basic', False, 'u', 'p'), 'InvalidAuthTarget'),
    (('server', 'magic', False, 'u', 'p'), 'InvalidAuthScheme'),
    (('server', 'basic', False, 'u' * 301, 'p'), 'UsernameTooLarge'),
    (('server', 'basic', False, 'u', 'p' * 65537), 'PasswordTooLarge'),
    (('server', 'basic', True, '', ''), 'InvalidArgument'),
    (('proxy', 'digest', True, '', ''), 'InvalidArgument'),
    (('server', 'negotiate', True, 'u', 'p'), 'InvalidArgument'),
    (('server', 'ntlm', True, '', ''), 'NotImplemented'),
    (('server', 'digest', False, 'a\nb', 'p'), 'InvalidCredentials'),
])
def test_set_credentials_refuses(world, arguments, name):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as caught:
        job.call('SetCredentials', 'ssbss', *arguments)
    assert caught.value.short == name


# NET-51
def test_passport_is_refused_when_it_would_be_used(world, apache):
    job, _ = make(world, apache.url('basic', 'file'))
    explicit(job, 'server', 'passport')
    fault = failed(job)
    assert fault.code == E401 and 'passport scheme is not implemented' in fault.text


# NET-50
def test_longest_password_travels(world, apache):
    job, _ = make(world, apache.url('basic', 'file'))
    explicit(job, 'server', 'basic', password='p' * 65536)
    job.resume()
    job.wait('error', 'transient-error')
    assert 'ppp' not in job.error().text


# NET-51
def test_all_credentials_together_are_bounded(world):
    job = world.manager().create()
    pairs = [(target, scheme) for target in ('server', 'proxy')
             for scheme in ('basic', 'digest', 'ntlm')]
    with pytest.raises(bus.BusError) as caught:
        for pair in pairs:
            job.call('SetCredentials', 'ssbss', *pair, False, 'u', '\U0001F511' * 65536)
    assert caught.value.short == 'PasswordTooLarge'


# SEC-82, SEC-83, SEC-84
def test_secrets_are_sealed_and_survive_a_restart(world, apache, playground):
    job, target = make(world, apache.url('digest', 'file'))
    explicit(job, 'server', 'digest')
    explicit(job, 'proxy', 'digest', 'mary')
    state = pathlib.Path(playground.state, 'openbits')
    key = state / 'credentials.key'
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.stat().st_uid == playground.manager_uid
    world.restart('bitsd')
    for path in [*state.glob('jobs.sqlite*'), *pathlib.Path(playground.logs).iterdir()]:
        for secret in (*PASSWORDS.values(), *PASSWORDS):
            if path.parent == state or secret in PASSWORDS.values():
                assert secret.encode() not in path.read_bytes(), (path, secret)
    job = world.manager().job(job.id)
    fetched(job, target)
    assert apache.log.shows('paul')
    with world.database() as database:
        assert not database.execute('SELECT * FROM jobs WHERE credentials IS NOT NULL').fetchall()


def memory_holds(pid, secret):
    """Whether any writable memory of the process has these bytes. A sanitizer's shadow is left out:
    it is of the size of the address space."""
    for line in pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines():
        span, rights = line.split()[:2]
        start, end = (int(number, 16) for number in span.split('-'))
        if not rights.startswith('rw') or end - start > 1 << 30:
            continue
        with contextlib.suppress(OSError), open(f'/proc/{pid}/mem', 'rb', 0) as memory:
            tail = b''
            for at in range(start, end, 1 << 20):
                memory.seek(at)
                data = tail + memory.read(min(1 << 20, end - at))
                if secret in data:
                    return True
                tail = data[-len(secret):]
    return False


# SEC-80, SEC-81, LIB-31
def test_no_secret_stays_in_the_managers_memory(world, apache, playground):
    job, target = make(world, apache.url('digest', 'file'))
    explicit(job, 'server', 'digest')
    fetched(job, target)
    [pid] = playground.pids('bitsd')
    marker = os.urandom(8).hex()
    job = world.manager().create(marker)
    assert memory_holds(pid, marker.encode())        # the search finds what is there
    assert not memory_holds(pid, PASSWORDS['paul'].encode())


# SEC-82
def test_lost_key_is_lost_credentials_and_nothing_else(world, apache, playground):
    job, target = make(world, apache.url('digest', 'file'))
    explicit(job, 'server', 'digest')
    pathlib.Path(playground.state, 'openbits', 'credentials.key').unlink()
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert failed(job).code == E401
    explicit(job, 'server', 'digest')
    fetched(job, target)


# ---- proxies ----

# NET-60
@pytest.mark.parametrize('arguments, name', [
    (('sometimes', '', ''), 'NotImplemented'),
    (('autodetect', 'a:1', ''), 'InvalidArgument'),
    (('autodetect', '', 'a'), 'InvalidArgument'),
    (('override', '', ''), 'InvalidArgument'),
    (('no-proxy', 'a:1', ''), 'InvalidArgument'),
    (('preconfig', '', 'a'), 'InvalidArgument'),
    (('override', 'x' * 4001, ''), 'ProxyListTooLarge'),
    (('override', 'a:1', 'x' * 4001), 'ProxyBypassListTooLarge'),
])
def test_set_proxy_settings_refuses(world, arguments, name):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as caught:
        job.call('SetProxySettings', 'sss', *arguments)
    assert caught.value.short == name
    assert tuple(job.call('GetProxySettings')) == ('preconfig', '', '')


# NET-60
def test_proxy_settings_are_kept(world):
    job = world.manager().create()
    use_proxy(job, 'http=a:1 b:2', '<local>;*.org')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert tuple(job.call('GetProxySettings')) == ('override', 'http=a:1 b:2', '<local>;*.org')
    job.call('SetProxySettings', 'sss', 'no-proxy', '', '')
    assert tuple(job.call('GetProxySettings')) == ('no-proxy', '', '')


# NET-61
def test_unusable_proxy_list_is_an_error_of_the_job(world, apache):
    job, _ = make(world, apache.url('open', 'file'))
    use_proxy(job, 'ftp://nonsense')
    assert failed(job).code == 0x8020003F
    assert apache.log.lines() == []


# NET-62, NET-63
def test_next_proxy_and_bypass(world, apache, squids):
    squid = squids['basic']
    job, target = make(world, apache.url('open', 'file'))
    explicit(job, 'proxy', 'basic')
    use_proxy(job, f'localhost:{servers.free_port()}, no-such-host.invalid:1 {squid.address}')
    fetched(job, target)
    assert squid.log.shows('paul')
    squid.log.mark()
    job, target = make(world, apache.url('open', 'file'))
    use_proxy(job, squid.address, '<local>')
    fetched(job, target)
    assert squid.log.lines() == []


# ---- the command and the library ----

@pytest.fixture
def bits(world):
    def run(*arguments, status=0, **options):
        result = world.playground.run(['bits', *map(str, arguments)], uid=world.alice,
                                      cwd=world.base, **options)
        assert result.returncode == status, (result.stdout, result.stderr)
        return result
    return run


# CLI-50, CLI-51, CLI-52
def test_command_sets_credentials_and_proxy(world, bits, apache, squids):
    squid = squids['digest']
    job, target = make(world, apache.url('basic', 'file'))
    bits('credentials', 'set', job.id, 'server', 'basic', 'paul',
         input=PASSWORDS['paul'] + '\n')
    secret = world.base / 'secret'
    secret.write_text(PASSWORDS['mary'] + '\n')
    secret.chmod(0o644)
    bits('credentials', 'set', job.id, 'proxy', 'digest', 'mary', '--password-file', secret)
    bits('set', job.id, f'proxy={squid.address}', 'proxy-bypass=elsewhere.test')
    assert tuple(job.call('GetProxySettings')) == ('override', squid.address, 'elsewhere.test')
    fetched(job, target)
    assert apache.log.shows('paul')
    assert squid.log.shows('mary')


# CLI-50, CLI-52
def test_command_removes_and_explains(world, bits):
    job = world.manager().create()
    bits('credentials', 'set', job.id, 'server', 'negotiate', '--implicit')
    assert bits('credentials', 'remove', job.id, 'server', 'negotiate').stderr == ''
    assert 'no such' in bits('credentials', 'remove', job.id, 'server', 'negotiate').stderr
    bits('set', job.id, 'credential-cache=FILE:/x', 'helper-credential-cache=KCM:1', 'proxy=no-proxy')
    assert job.get('CredentialCache') == 'FILE:/x'
    assert job.call('GetProxySettings')[0] == 'no-proxy'
    for words in (['set', job.id, 'server', 'basic'], ['set', job.id, 'elsewhere', 'basic', 'u'],
                  ['set', job.id, 'server', 'basic', 'u', 'password'], ['forget', job.id],
                  ['remove', job.id, 'server', 'basic', 'u']):
        bits('credentials', *words, status=2)
    bits('set', job.id, 'proxy=autodetect')     # NET-440
    assert job.call('GetProxySettings')[0] == 'autodetect'
    assert 'autodetect' in bits('show', job.id).stdout


# CLI-53
def test_one_command_for_the_whole_case(world, bits, realm, apache, squids):
    squid = squids['negotiate']
    realm.kinit(world.alice, ALICE)
    vault = world.vault()
    bits('get', '--proxy', squid.address, '--negotiate', '--proxy-negotiate',
         apache.url('negotiate', 'file'), vault / 'a')
    assert (vault / 'a').read_bytes() == DATA
    assert apache.log.shows(f'{ALICE}@{servers.REALM}')


# LIB-30 … LIB-33
def test_library(world, apache):
    from test_library import Library
    library = Library()
    world.present(world.alice)

    def as_alice(environment):
        os.environ.update(environment)
        manager = library.new('manager_open')
        job = ctypes.c_void_p()
        library('manager_create_job', manager, b'job', 0, ctypes.byref(job))
        library('job_set_credentials', job, 1, 1, b'paul', PASSWORDS['paul'].encode())
        library('job_set_credentials', job, 2, 4, None, None)
        removed = [library('job_remove_credentials', job, 2, 4) for _ in range(2)]
        library('job_set_proxy_settings', job, 2, b'a:1', b'<local>')
        usage, text, bypass = ctypes.c_int(), ctypes.c_char_p(), ctypes.c_char_p()
        library('job_get_proxy_settings', job, ctypes.byref(usage), ctypes.byref(text),
                ctypes.byref(bypass))
        library('job_set_credential_cache', job, b'FILE:/x')
        options = library.new('job_query_token_options', job)
        library('token_options_set_helper_credential_cache', options, b'DIR:/y')
        own, helper = ctypes.c_char_p(), ctypes.c_char_p()
        library('job_get_credential_cache', job, ctypes.byref(own))
        library('token_options_get_helper_credential_cache', options, ctypes.byref(helper))
        codes = []
        for arguments in ((9, 1, b'u', b'p'), (1, 9, b'u', b'p'), (1, 1, None, None),
                          (1, 1, b'u', None), (0, 1, b'u', b'p'), (1, 0, b'u', b'p')):
            try:
                library('job_set_credentials', job, *arguments)
            except Exception as error:      # test_library's, as it is pickled
                codes.append(error.code)
        return (removed, usage.value, text.value, bypass.value, own.value, helper.value, codes)

    got = bus.run_as(world.alice, as_alice, dict(world.playground.environment))
    assert got == ([0, 1], 2, b'a:1', b'<local>', b'FILE:/x', b'DIR:/y',
                   [0x80200027, 0x80200028, 0x80070057, 0x80070057, 0x80200027, 0x80200028])


# ---- stored credentials ----

# NET-163
def test_stored_credentials_are_for_proxies(world, realm, apache, squids):
    squid = squids['negotiate']
    realm.kinit(world.alice, ALICE)
    job, target = make(world, apache.url('open', 'file'))
    use_proxy(job, squid.address)
    assert job.get('UseStoredCredentials') == 'none'
    assert failed(job).code == E407
    for wrong in 'server', '', 'all':
        with pytest.raises(bus.BusError) as error:
            job.set('UseStoredCredentials', wrong)
        assert error.value.short == 'UseStoredCredentialsNotSupported'
    job.set('UseStoredCredentials', 'proxy')
    world.restart('bitsd')
    assert job.get('UseStoredCredentials') == 'proxy'
    squid.log.mark()
    fetched(job, target)
    assert squid.log.shows(f'{ALICE}@{servers.REALM}')
    job, target = make(world, apache.url('negotiate', 'file'))      # not for servers
    job.set('UseStoredCredentials', 'proxy')
    assert failed(job).code == E401


# NET-163: the helper's, when the network is his
def test_stored_credentials_of_the_helper(world, realm, apache, squids):
    squid = squids['negotiate']
    realm.kinit(world.bob, BOB)
    job, target = make(world, apache.url('open', 'file'))
    world.set_token(job, world.bob, bus.NETWORK)
    use_proxy(job, squid.address)
    job.set('UseStoredCredentials', 'proxy')
    fetched(job, target)
    assert squid.log.shows(f'{BOB}@{servers.REALM}')
