"""Certificates of every kind, and servers that show and demand them: openssl and nginx.

An Authority is a folder with a certificate authority that `openssl ca` keeps: it signs servers and
clients, for any time and any use, revokes, and publishes its list. Web is one nginx with as many
servers as there are certificates to show; it logs who was shown to it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import http.client
import os
import pathlib
import shutil
import subprocess

import bus
from servers import Process, free_port

YEAR = 365 * 86400
NGINX = shutil.which('nginx', path=os.environ.get('PATH', '') + ':/usr/sbin')
CONFIG = """
[ca]
default_ca = this
[this]
database = {0}/index
new_certs_dir = {0}/made
serial = {0}/serial
crlnumber = {0}/crlnumber
certificate = {0}/ca.pem
private_key = {0}/ca.key
default_md = sha256
default_crl_days = 2
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
"""


def missing():
    return [name for name, there in (('nginx', NGINX), ('openssl', shutil.which('openssl')))
            if not there]


def openssl(*arguments, **options):
    return subprocess.run(['openssl', *map(str, arguments)], check=True, capture_output=True,
                          **options).stdout


class Authority:
    def __init__(self, folder, name='Test'):
        self.folder = pathlib.Path(folder)
        (self.folder / 'made').mkdir(parents=True)
        (self.folder / 'index').touch()
        (self.folder / 'serial').write_text('1000\n')
        (self.folder / 'crlnumber').write_text('01\n')
        self.config = self.folder / 'config'
        self.config.write_text(CONFIG.format(self.folder))
        self.certificate = self.folder / 'ca.pem'
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                '-days', '2', '-subj', f'/CN={name} authority', '-config', self.config,
                '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign,cRLSign',
                '-addext', 'subjectKeyIdentifier=hash',
                '-keyout', self.folder / 'ca.key', '-out', self.certificate)

    def sign(self, name, use='serverAuth', names='DNS:localhost,IP:127.0.0.1', crl=None,
             start=None, end=None):
        """Makes NAME.pem and NAME.key; start and end as YYYYMMDDHHMMSSZ."""
        lines = [f'extendedKeyUsage={use}', 'authorityKeyIdentifier=keyid']
        lines += [f'subjectAltName={names}'] if names else []
        lines += [f'crlDistributionPoints=URI:{crl}'] if crl else []
        extensions = self.folder / f'{name}.ext'
        extensions.write_text('\n'.join(lines) + '\n')
        openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                '-subj', f'/CN={name}', '-config', self.config, '-keyout', self.path(name, 'key'),
                '-out', self.folder / f'{name}.csr')
        openssl('ca', '-batch', '-notext', '-config', self.config, '-extfile', extensions,
                *(['-startdate', start] if start else []),
                *(['-enddate', end] if end else ['-days', '2']),
                '-in', self.folder / f'{name}.csr', '-out', self.path(name, 'pem'))
        return self.path(name, 'pem'), self.path(name, 'key')

    def path(self, name, kind):
        return self.folder / f'{name}.{kind}'

    def revoke(self, name):
        openssl('ca', '-batch', '-config', self.config, '-revoke', self.path(name, 'pem'))

    def list(self, path, *options):
        """Writes the list of what is revoked."""
        openssl('ca', '-batch', '-config', self.config, '-gencrl', '-out', path, *options)


class Web:
    """An nginx; serve() first, then start(). Every server publishes the same folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.files = self.folder / 'www'
        self.files.mkdir(parents=True)
        self.servers, self.ports = [], {}
        self.process = None
        self.log = self.folder / 'log'

    def serve(self, name, certificate=None, key=None, extra=''):
        port = self.ports[name] = free_port()
        tls = f'ssl_certificate {certificate}; ssl_certificate_key {key};' if certificate else ''
        self.servers.append(f'server {{ listen 127.0.0.1:{port}{" ssl" if tls else ""}; {tls} '
                            f'root {self.files}; {extra} }}')
        return port

    def url(self, name, path, host='localhost'):
        scheme = 'https' if any(f':{self.ports[name]} ssl' in s for s in self.servers) else 'http'
        return f'{scheme}://{host}:{self.ports[name]}/{path}'

    def start(self):
        config = self.folder / 'nginx.conf'
        user = 'user root;' if os.geteuid() == 0 else ''
        config.write_text(
            f'daemon off; worker_processes 1; {user} pid {self.folder}/pid; error_log stderr;\n'
            'events { } http {\n'
            "log_format who '$server_port $status $ssl_client_s_dn [$http_x_one] [$http_x_two] $request_method';\n"
            f'access_log {self.log} who;\n' +
            ''.join(f'{kind}_temp_path {self.folder}/{kind};\n'
                    for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')) +
            '\n'.join(self.servers) + '}\n')
        self.process = Process([NGINX, '-c', str(config), '-e', 'stderr'],
                               next(iter(self.ports.values())), self.folder / 'output')

    def close(self):
        if self.process:
            self.process.close()

    def lines(self, name, count=1):
        """What that server logged, when it is so much."""
        def found():
            lines = [line.split(' ', 1)[1] for line in self.log.read_text().splitlines()
                     if line.startswith(f'{self.ports[name]} ')]
            return lines if len(lines) >= count else None
        return bus.poll_until(found, f'{count} requests at {name}')

    def forget(self):
        """All that was asked so far. One process writes the log, line by line, each after its answer:
        behind the line of a last request nothing comes any more."""
        port = next(port for name, port in self.ports.items() if self.url(name, '').startswith('http:'))
        connection = http.client.HTTPConnection('127.0.0.1', port)
        connection.request('LAST', '/')
        connection.getresponse().read()
        connection.close()
        bus.poll_until(lambda: self.log.read_text().endswith(' LAST\n'), 'the last line')
        os.truncate(self.log, 0)
