"""Servers that demand to know who comes, as ordinary processes of a test: a KDC, Apache, Squid.

Each has a folder of its own below the realm's, listens on 127.0.0.1 on a port that was free, and
writes an access log that says who was shown to it. Names are "localhost", for which the keytab is.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import hashlib
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile

import bus

REALM = 'BITS.TEST'
MODULES = '/usr/lib/apache2/modules'
PROGRAMS = {'krb5kdc': 'krb5-kdc', 'kadmin.local': 'krb5-admin-server', 'kinit': 'krb5-user',
            'apache2': 'apache2', 'squid': 'squid', 'htpasswd': 'apache2-utils'}
FILES = {f'{MODULES}/mod_auth_gssapi.so': 'libapache2-mod-auth-gssapi'}


def missing():
    """The Debian packages that are not there."""
    path = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
    programs = [package for program, package in PROGRAMS.items()
                if not shutil.which(program, path=path)]
    return (programs + [package for file, package in FILES.items() if not os.path.exists(file)])


_reserved = []


def free_port():
    """A port of 127.0.0.1 that nobody else gets: it stays bound by us, without listening, which keeps
    away whoever asks for any port, and those who connect, but not a server that asks for this one,
    because like every server it binds with SO_REUSEADDR."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(('127.0.0.1', 0))
    _reserved.append(sock)
    return sock.getsockname()[1]


def listens(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(('127.0.0.1', port)) == 0


class Process:
    """A server in the foreground; it ends with the tests, also when those are killed."""

    def __init__(self, command, port, log, environment=None, **options):
        self.log = log
        with open(log, 'ab') as output:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'TERM', *command], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, env=environment, start_new_session=True, **options)
        try:
            bus.poll_until(lambda: self.process.poll() is not None or listens(port),
                           f'{command[0]} to listen')
            assert self.process.poll() is None, pathlib.Path(log).read_text(errors='replace')
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Realm:
    """A KDC with a user for each name, password = name, and the service HTTP/localhost."""

    def __init__(self, users):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-realm-'))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.caches = self.folder / 'caches'
        self.caches.mkdir()
        self.caches.chmod(0o1777)
        self.config = self.folder / 'krb5.conf'
        self.default_cache(f'FILE:{self.caches}/%{{uid}}')
        (self.folder / 'kdc.conf').write_text(
            f'[kdcdefaults]\n kdc_ports = {self.port}\n kdc_tcp_ports = {self.port}\n'
            f' kdc_listen = 127.0.0.1:{self.port}\n kdc_tcp_listen = 127.0.0.1:{self.port}\n'
            f'[realms]\n {REALM} = {{\n  database_name = {self.folder}/principal\n'
            f'  key_stash_file = {self.folder}/stash\n  acl_file = {self.folder}/acl\n'
            f'  supported_enctypes = aes256-cts:normal\n }}\n')
        self.environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
                            'KRB5_CONFIG': str(self.config),
                            'KRB5_KDC_PROFILE': str(self.folder / 'kdc.conf')}
        self.run('kdb5_util', 'create', '-s', '-r', REALM, '-P', 'master')
        for user in users:
            self.kadmin(f'addprinc -pw {user} {user}')
        self.keytab = self.folder / 'http.keytab'
        self.kadmin('addprinc -randkey HTTP/localhost')
        self.kadmin(f'ktadd -k {self.keytab} HTTP/localhost')
        self.keytab.chmod(0o644)    # of a realm that lives for a minute
        self.kdc = Process(['krb5kdc', '-n', '-r', REALM], self.port, self.folder / 'kdc.log',
                           self.environment)

    def default_cache(self, name):
        self.config.write_text(
            f'[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n'
            ' dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n'
            ' qualify_shortname = ""\n'
            f' default_ccache_name = {name}\n'
            f'[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n')

    def run(self, *command, **options):
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True,
                                timeout=60, **options)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout

    def kadmin(self, query):
        self.run('kadmin.local', '-r', REALM, '-q', query)

    def as_user(self, uid, *command, **options):
        return self.run(*command, user=uid, group=uid, extra_groups=[], **options)

    def kinit(self, uid, user, lifetime='1h', cache=None):
        options = ['-c', cache] if cache else []
        self.as_user(uid, 'kinit', '-l', lifetime, *options, user, input=user + '\n')

    def cache(self, uid):
        return self.caches / str(uid)

    def kdestroy(self, *uids):
        for uid in uids:
            with contextlib.suppress(FileNotFoundError):
                self.cache(uid).unlink()

    def wait_expired(self, uid):
        """Until the ticket is no longer good by the library's own word."""
        def expired():
            return subprocess.run(['klist', '-s'], env=self.environment, user=uid, group=uid,
                                  extra_groups=[]).returncode != 0
        bus.poll_until(expired, 'the ticket to expire', interval=0.1)

    def close(self):
        self.kdc.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class AccessLog:
    """Lines "USER STATUS METHOD PATH" that a server wrote since the mark."""

    def __init__(self, path):
        self.path, self.position = pathlib.Path(path), 0

    def mark(self):
        self.position = self.path.stat().st_size if self.path.exists() else 0

    def lines(self):
        if not self.path.exists():
            return []
        with open(self.path, 'rb') as file:
            file.seek(self.position)
            return file.read().decode().splitlines()

    def users(self):
        """Who was shown by now, "-" left out."""
        return {line.split()[0] for line in self.lines()} - {'-'}

    def shows(self, user):
        """Whether this one was shown, and nobody else: waits for the line, which a server writes
        after its answer."""
        with contextlib.suppress(bus.Timeout):
            bus.poll_until(self.users, f'{user} in {self.path}')
        return self.users() == {user}

    def statuses(self):
        return [int(line.split()[1]) for line in self.lines()]

    def wait(self, count):
        """Servers write the line after the answer."""
        bus.poll_until(lambda: len(self.lines()) >= count, f'{count} lines in {self.path}')
        return self.lines()


def digest_ha1(user, realm, password):
    return hashlib.md5(f'{user}:{realm}:{password}'.encode()).hexdigest()


class Apache:
    """/negotiate/, /bound/ (one authentication for a whole connection), /basic/, /digest/, /open/:
    each shows the same files. /away/X redirects to the same server under another name, /basic/X."""

    def __init__(self, realm, users):
        self.folder = realm.folder / 'apache'
        self.files = self.folder / 'files'
        self.files.mkdir(parents=True)
        self.port = free_port()
        self.log = AccessLog(self.folder / 'access.log')
        (self.folder / 'basic').write_text(''.join(
            subprocess.run(['htpasswd', '-nb', user, password], capture_output=True, text=True,
                           check=True).stdout.strip() + '\n' for user, password in users.items()))
        (self.folder / 'digest').write_text(''.join(
            f'{user}:site:{digest_ha1(user, "site", password)}\n'
            for user, password in users.items()))
        (self.folder / 'apache.conf').write_text(self.configuration(realm))
        self.process = Process(['/usr/sbin/apache2', '-D', 'FOREGROUND', '-f',
                                str(self.folder / 'apache.conf')], self.port,
                               self.folder / 'output.log', realm.environment)

    def configuration(self, realm):
        modules = ('mpm_event authn_core authn_file authz_core authz_user auth_basic auth_digest '
                   'auth_gssapi alias').split()
        gssapi = (f'AuthType GSSAPI\n AuthName site\n GssapiCredStore keytab:{realm.keytab}\n'
                  ' GssapiAllowedMech krb5\n Require valid-user\n')
        locations = {
            'negotiate': gssapi,
            'bound': gssapi + ' GssapiConnectionBound On\n',
            'basic': f'AuthType Basic\n AuthName site\n AuthUserFile {self.folder}/basic\n'
                     ' Require valid-user\n',
            'digest': f'AuthType Digest\n AuthName site\n AuthUserFile {self.folder}/digest\n'
                      ' Require valid-user\n',
            'open': 'Require all granted\n',
        }
        return (''.join(f'LoadModule {name}_module {MODULES}/mod_{name}.so\n' for name in modules)
                + f'ServerRoot {self.folder}\nServerName localhost\nListen 127.0.0.1:{self.port}\n'
                f'PidFile {self.folder}/pid\nDocumentRoot {self.files}\n'
                f'ErrorLog {self.folder}/error.log\n'
                + ('User www-data\nGroup www-data\n' if os.geteuid() == 0 else '')
                + f'LogFormat "%u %>s %m %U" who\nCustomLog {self.log.path} who\n'
                'KeepAlive On\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n'
                f'Redirect /away http://127.0.0.1:{self.port}/basic\n'
                + ''.join(f'Alias /{name} {self.files}\n<Location /{name}>\n {text}</Location>\n'
                          for name, text in locations.items()))

    def publish(self, name, data):
        (self.files / name).write_bytes(data)

    def url(self, place, name, host='localhost'):
        return f'http://{host}:{self.port}/{place}/{name}'

    def close(self):
        self.process.close()


class Squid:
    """A proxy that wants to know who comes, by one of the schemes; by 'open' it does not."""

    def __init__(self, realm, users, scheme):
        self.folder = realm.folder / f'squid-{scheme}'
        self.folder.mkdir()
        self.port = free_port()
        self.log = AccessLog(self.folder / 'access.log')
        helper = {
            'negotiate': f'/usr/lib/squid/negotiate_kerberos_auth -k {realm.keytab} '
                         '-s GSS_C_NO_NAME',
            'basic': f'/usr/lib/squid/basic_ncsa_auth {self.folder}/users',
            'ntlm': '/usr/lib/squid/ntlm_fake_auth',      # believes everybody, and says whom
            'digest': f'/usr/lib/squid/digest_file_auth -c {self.folder}/users',
            'open': '',
        }[scheme]
        if scheme == 'digest':
            (self.folder / 'users').write_text(''.join(
                f'{user}:site:{digest_ha1(user, "site", password)}\n'
                for user, password in users.items()))
        elif scheme == 'basic':
            shutil.copy(realm.folder / 'apache/basic', self.folder / 'users')
        realm_line = '' if scheme in ('negotiate', 'ntlm') else f'auth_param {scheme} realm site\n'
        who = 'http_access allow all\n' if scheme == 'open' else (
            f'auth_param {scheme} program {helper}\n'
            f'auth_param {scheme} children 4 startup=1 idle=1\n{realm_line}'
            'acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n')
        (self.folder / 'squid.conf').write_text(
            f'http_port 127.0.0.1:{self.port}\n{who}'
            'logformat who %un %>Hs %rm %ru\n'
            f'access_log stdio:{self.log.path} logformat=who\ncache deny all\ncache_mem 8 MB\n'
            f'cache_log {self.folder}/cache.log\npid_filename {self.folder}/pid\n'
            f'coredump_dir {self.folder}\nshutdown_lifetime 0 seconds\nmemory_cache_shared off\n'
            'pinger_enable off\nvisible_hostname localhost\nbuffered_logs off\n'
            'logfile_rotate 0\nclient_idle_pconn_timeout 60 seconds\n')
        options = {}
        if os.geteuid() == 0:       # from the start: a change of identity forgets whose death counts
            proxy = pwd.getpwnam('proxy')
            os.chown(self.folder, proxy.pw_uid, proxy.pw_gid)
            options = {'user': proxy.pw_uid, 'group': proxy.pw_gid, 'extra_groups': []}
        self.process = Process(['squid', '-N', '-n', f'bits{self.port}', '-f',
                                str(self.folder / 'squid.conf')], self.port,
                               self.folder / 'output.log', realm.environment, **options)

    @property
    def address(self):
        return f'localhost:{self.port}'

    def close(self):
        self.process.close()
