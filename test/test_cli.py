"""The command `bits`, run as users run it: in a pipe, on a terminal, wrongly.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

import bus
from conftest import HERE, temporary_files

GUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')


@pytest.fixture
def bits(world):
    """Runs `bits ARGUMENTS` as alice unless told otherwise; asserts the exit status."""
    mode = [] if world.root else ['--user']

    def run(*arguments, status=0, uid=None, **options):
        if world.root:
            options['uid'] = world.alice if uid is None else uid
        options.setdefault('cwd', world.base)
        result = world.playground.run(['bits', *mode, *map(str, arguments)], **options)
        assert result.returncode == status, (result.stdout, result.stderr)
        return result
    return run


def jobs(bits, *arguments):
    return json.loads(bits('list', '--json', *arguments).stdout)['jobs']


class Tunnel:
    """Another way to a socket, which ends with it."""

    def __init__(self, path, target):
        self.path, self.target, self.ends = path, target, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self.ends:
            end.shutdown(socket.SHUT_RDWR)

    def serve(self):
        while True:
            here, there = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
            there.connect(self.target)
            self.ends += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    @staticmethod
    def copy(one, other):
        while data := one.recv(65536):
            other.sendall(data)


class Terminal:
    """`bits` on a pseudo-terminal."""

    def __init__(self, world, *arguments, columns=100, rows=24, cwd=None, term='xterm', uid=None,
                 program=None):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.output = b''
        mode = [] if world.root else ['--user']
        options = {'uid': world.alice if uid is None else uid} if world.root else {}
        self.process = world.playground.popen(
            program or ['bits', *mode, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
            env={'TERM': term}, cwd=cwd or world.base, start_new_session=True, **options)
        os.close(slave)

    def write(self, text):
        os.write(self.master, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read_until(self, pattern, timeout=bus.DEADLINE):
        """Reads on until the pattern is there; at the end of the program if it is None."""
        deadline = time.monotonic() + timeout
        while pattern is None or not re.search(pattern, self.output):
            assert time.monotonic() < deadline, self.output
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:     # the other end is closed
                data = b''
            if not data:
                assert pattern is None, self.output
                break
            self.output += data
        return self.output.decode()

    def end(self):
        self.read_until(None)
        os.close(self.master)
        return self.process.wait(bus.DEADLINE)


# ---- get ----

def test_get_in_a_pipe(world, bits):
    """CLI-02: fetches, names, says where; CLI-03: two plain lines, no bar."""
    url, target = world.put(300_000), world.vault() / 'file'
    lines = bits('get', url, target).stdout.splitlines()
    assert target.read_bytes() == world.bytes(url)
    assert len(lines) == 2
    assert lines[0].startswith('start job ') and lines[1].startswith(f'done: {target} (')
    assert '\r' not in ''.join(lines) and '\033' not in ''.join(lines)
    assert jobs(bits) == []
    assert temporary_files(target.parent) == []


def test_get_chooses_the_name(world, bits):
    """CLI-05: the end of the address, in the current directory or in the one that was named."""
    url, vault = world.put(1000), world.vault()
    name = url.rsplit('/', 1)[1]
    bits('get', url, cwd=vault)
    assert (vault / name).read_bytes() == world.bytes(url)
    (vault / name).unlink()
    bits('get', url + '?x=1/2', vault, status=1)    # another resource: 404, but the same name
    assert jobs(bits)[0]['display-name'] == name
    result = bits('get', url.rsplit('/', 2)[0] + '/', status=1)
    assert 'does not end in a file name' in result.stderr


def test_get_replaces_a_link_not_its_target(world, bits):
    """CLI-05: the last component is not resolved."""
    url, vault = world.put(1000), world.vault()
    (vault / 'target').write_text('keep')
    (vault / 'link').symlink_to('target')
    bits('get', url, vault / 'link')
    assert (vault / 'target').read_text() == 'keep'
    assert not (vault / 'link').is_symlink()
    assert (vault / 'link').read_bytes() == world.bytes(url)


def test_get_json(world, bits):
    """CLI-04"""
    url, target = world.put(1000), world.vault() / 'file'
    job, = json.loads(bits('get', '--json', url, target).stdout)['jobs']
    assert GUID.fullmatch(job.pop('id'))
    assert job == {'state': 'acknowledged', 'remote-name': url, 'local-name': str(target),
                   'bytes': 1000}


def test_bar_on_a_terminal(world, bits):
    """CLI-06: percentage, bytes, rate and time left on one line that fits."""
    url, target = world.put(32_000_000, rate=1_000_000), world.vault() / 'file'
    terminal = Terminal(world, 'get', url, target, columns=90)
    terminal.read_until(rb'[1-9]\d?%.*MiB/30\.5 MiB.*/s.*ETA 0:')
    world.resource(url).rate = 0
    assert terminal.end() == 0
    output = terminal.output.decode()
    for line in re.split(r'[\r\n]+', output):
        assert len(re.sub(r'\033\[K', '', line)) <= 90 or line.startswith('done: '), line
    assert f'done: {target}' in output
    assert target.read_bytes() == world.bytes(url)


def test_narrow_terminal(world, bits):
    """CLI-06"""
    url, target = world.put(2_000_000, stall_after=1_000_000), world.vault() / 'file'
    terminal = Terminal(world, 'get', url, target, columns=24)
    terminal.read_until(rb'\d%')
    world.server.release(world.path_of(url))
    assert terminal.end() == 0
    bars = [re.sub(r'\033\[K', '', part) for part in terminal.output.decode().split('\r')
            if '%' in part]
    assert bars and all(len(bar.split('\n')[0]) <= 24 for bar in bars)


def test_ctrl_c_detaches(world, bits):
    """CLI-10: the job goes on, and the command said how to return."""
    url, target = world.put(3_000_000, stall_after=1_000_000), world.vault() / 'file'
    terminal = Terminal(world, 'get', url, target)
    world.server.wait_stalled(world.path_of(url))
    terminal.read_until(rb'\d%')
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    said = terminal.output.decode()
    short = re.search(r'job ([0-9a-f]{8}) goes on in the background', said).group(1)
    for verb in ('wait', 'complete', 'cancel'):
        assert f'bits {verb} {short}' in said
    assert [job['id'][:8] for job in jobs(bits)] == [short]

    world.server.release(world.path_of(url))
    bits('wait', short)
    bits('complete', short)
    assert target.read_bytes() == world.bytes(url)


def test_get_again_continues_the_same_job(world, bits):
    """CLI-09"""
    url, target = world.put(3_000_000, stall_after=1_000_000), world.vault() / 'file'
    first = bits('get', '--detach', url, target).stdout.strip()
    world.server.wait_stalled(world.path_of(url))
    world.server.release(world.path_of(url))
    result = bits('get', url, target)
    assert f'continuing job {first[:8]}' in result.stdout
    assert target.read_bytes() == world.bytes(url)
    assert jobs(bits) == []


def test_get_of_another_file_is_another_job(world, bits):
    """CLI-09: the same address under another name is another job."""
    url, vault = world.put(1_000_000, stall_after=1000), world.vault()
    first = bits('get', '--detach', url, vault / 'a').stdout
    second = bits('get', '--detach', url, vault / 'b').stdout
    assert first != second and len(jobs(bits)) == 2


def test_get_detached(world, bits):
    """CLI-11: returns at once, with the id and the chosen name and priority."""
    url, target = world.put(1_000_000, stall_after=1000), world.vault() / 'file'
    ident = bits('get', '--detach', '--name', 'my job', '--priority', 'low', url,
                 target).stdout.strip()
    job, = jobs(bits)
    assert (job['id'], job['display-name'], job['priority']) == (ident, 'my job', 'low')


def test_get_default_priority(world, bits):
    """CLI-02: somebody waits for it, so it is a foreground job named like its file."""
    url, target = world.put(1_000_000, stall_after=1000), world.vault() / 'file'
    bits('get', '--detach', url, target)
    job, = jobs(bits)
    assert (job['display-name'], job['priority']) == ('file', 'foreground')


def test_get_of_a_missing_file(world, bits):
    """CLI-13: code, number, sentence, file and what to do; the job remains."""
    url, target = world.put(1000, status=404), world.vault() / 'file'
    said = bits('get', url, target, status=1).stderr
    assert 'BG_E_HTTP_ERROR_404 (0x80190194)' in said
    assert url in said and str(target) in said
    job, = jobs(bits)
    assert job['state'] == 'error' and job['error'] == '0x80190194'
    assert f"'bits resume {job['id'][:8]}'" in said and f"'bits cancel {job['id'][:8]}'" in said
    assert not target.exists()


def test_get_tells_a_transient_error_once(world, bits):
    """CLI-08: says it, keeps waiting, and goes on when told to."""
    url, target = world.put(100_000, status=503, times=1), world.vault() / 'file'
    terminal = Terminal(world, 'get', url, target)
    terminal.read_until(rb'0x801901F7')
    job, = jobs(bits)
    assert job['state'] == 'transient-error'
    bits('set', job['id'], 'description=wakes the command up')
    bits('resume', job['id'])
    assert terminal.end() == 0
    assert terminal.output.count(b'0x801901F7') == 1
    assert target.read_bytes() == world.bytes(url)


def test_get_outlives_the_service(world, bits):
    """CLI-14: bitsd is killed in the middle; the command goes on watching the same job."""
    url, target = world.put(3_000_000, stall_after=1_000_000), world.vault() / 'file'
    terminal = Terminal(world, 'get', url, target)
    world.server.wait_stalled(world.path_of(url))
    world.restart('bitsd')
    world.server.release(world.path_of(url))
    assert terminal.end() == 0, terminal.output
    assert target.read_bytes() == world.bytes(url)


def test_get_outlives_the_service_while_it_makes_the_job(world, bits):
    """CLI-14: bitsd is killed while it looks at the directory; nothing of the first try remains."""
    first, url = world.put(3_000_000, stall_after=1_000_000), world.put(500_000)
    kept, target = world.vault() / 'first', world.vault() / 'file'
    ident = bits('get', '--detach', first, kept).stdout.strip()
    world.server.wait_stalled(world.path_of(first))
    for worker in world.playground.pids('bits-file'):       # for good: those of before are of no use
        with contextlib.suppress(ProcessLookupError):
            bus.stop_process(worker)
    terminal = Terminal(world, 'get', url, target)
    bus.poll_until(lambda: len(jobs(bits)) == 2, 'the second job')
    world.restart('bitsd')
    assert terminal.end() == 0, terminal.output
    assert 'went away' in terminal.output.decode()
    assert target.read_bytes() == world.bytes(url)
    assert [job['id'] for job in jobs(bits)] == [ident]
    world.server.release(world.path_of(first))
    bits('wait', ident)


def test_get_into_a_missing_or_closed_directory(world, bits):
    """CLI-13: no job stays behind when it could not even begin."""
    url, vault = world.put(1000), world.vault()
    assert 'mkdir' in bits('get', url, vault / 'missing' / 'file', status=1).stderr
    if world.root:
        other = world.vault(uid=world.bob)
        assert 'E_ACCESSDENIED' in bits('get', url, other / 'file', status=1).stderr
    assert jobs(bits) == []


# ---- identities ----

def test_network_as(root_world, bits):
    """CLI-12: root's file, bob's connection; flags and helper are shown in words."""
    world = root_world
    url, target = world.put(200_000, stall_after=100_000), world.vault(uid=0) / 'file'
    ident = bits('get', '--detach', '--network-as', world.bob, url, target, uid=0).stdout.strip()
    world.server.wait_stalled(world.path_of(url))
    shown = bits('show', ident, uid=0).stdout
    assert re.search(rf'^network as +helper, .*uid {world.bob}', shown, re.M), shown
    assert re.search(r'^local files as +owner, root', shown, re.M), shown
    world.server.release(world.path_of(url))
    bits('wait', ident, uid=0)
    bits('complete', ident, uid=0)
    assert target.read_bytes() == world.bytes(url)
    assert target.stat().st_uid == 0


def test_local_as(root_world, bits):
    """CLI-12: the file is made with the rights of the named user, in a directory of his own."""
    world = root_world
    url, target = world.put(1000), world.vault(uid=world.bob) / 'file'
    bits('get', '--local-as', world.bob, url, target, uid=0)
    assert target.read_bytes() == world.bytes(url)
    assert target.stat().st_uid == world.bob


def test_only_one_helper(root_world, bits):
    """CLI-12: --local-as and --network-as must name the same user."""
    world = root_world
    said = bits('get', '--local-as', world.bob, '--network-as', world.carol, 'http://h/x',
                uid=0, status=2).stderr
    assert 'same user' in said and 'usage: bits get' in said


def test_only_root_becomes_somebody(root_world, bits):
    """CLI-12"""
    world = root_world
    said = bits('get', '--network-as', world.bob, world.put(10), world.vault() / 'f',
                status=1).stderr
    assert 'only root' in said
    assert jobs(bits) == []


def test_token_verbs(world, bits):
    """CLI-24: set, flags, show, clear."""
    ident = bits('create').stdout.strip()
    bits('token', 'set', ident)
    bits('token', 'flags', ident, 'local-file,network')
    token, = json.loads(bits('token', 'show', ident, '--json').stdout)['tokens']
    assert token == {'id': ident, 'helper-flags': 'local-file,network',
                     'helper-sid': f'S-1-22-1-{world.alice}'}
    bits('token', 'clear', ident)
    token, = json.loads(bits('token', 'show', ident, '--json').stdout)['tokens']
    assert token['helper-sid'] is None and token['helper-flags'] == 'local-file,network'
    bits('token', 'flags', ident, 'none')
    assert 'flags   none' in bits('token', 'show', ident).stdout


# ---- the other verbs ----

def test_a_job_by_hand(world, bits):
    """CLI-15, CLI-16, CLI-17, CLI-18, CLI-19: create, add, resume, wait, complete."""
    url, target = world.put(100_000), world.vault() / 'file'
    ident = bits('create', 'by hand').stdout.strip()
    assert GUID.fullmatch(ident)
    assert bits('add', 'by hand', url, target).stdout == ''
    assert bits('resume', ident[:6]).stdout == ''
    assert bits('wait', ident).stdout == ''
    assert not target.exists()
    assert bits('complete', ident).stdout == ''
    assert target.read_bytes() == world.bytes(url)
    assert 'no job' in bits('show', ident, status=1).stderr


def test_add_from_a_list(world, bits):
    """CLI-16: one call, all files or none; comments and empty lines are skipped."""
    vault = world.vault()
    urls = [world.put(1000) for _ in range(5)]
    text = '# a list\n\n' + ''.join(f'{url}\t {vault}/file {i}\n' for i, url in enumerate(urls))
    bits('create', 'list')
    bits('add', 'list', '--from', '-', input=text)
    files = json.loads(bits('show', 'list', '--json').stdout)['jobs'][0]['files']
    assert [file['remote-name'] for file in files] == urls
    assert [file['local-name'] for file in files] == [f'{vault}/file {i}' for i in range(5)]

    bits('create', 'broken')
    said = bits('add', 'broken', '--from', '-', input=f'{urls[0]} {vault}/x\nftp://h/y {vault}/y\n',
                status=1).stderr
    assert 'E_INVALIDARG' in said
    assert json.loads(bits('show', 'broken', '--json').stdout)['jobs'][0]['files'] == []
    assert 'line 1' in bits('add', 'broken', '--from', '-', input='http://only\n', status=1).stderr


def test_wait_results(world, bits):
    """CLI-18: 0 when all are there, 1 after an error, 124 when the time is over."""
    vault = world.vault()
    good, bad = world.put(1000), world.put(1000, status=404)
    stuck = world.put(1000_000, stall_after=10)
    one, two, three = [bits('get', '--detach', url, vault / str(i)).stdout.strip()
                       for i, url in enumerate([good, bad, stuck])]
    bits('wait', one)
    assert '0x80190194' in bits('wait', one, two, status=1).stderr
    bits('wait', '--timeout', '1', three, status=124)
    bits('suspend', three)
    assert 'suspended' in bits('wait', three, status=1).stderr


def test_cancel_deletes(world, bits):
    """CLI-20"""
    url, vault = world.put(1_000_000, stall_after=500_000), world.vault()
    ident = bits('get', '--detach', url, vault / 'file').stdout.strip()
    world.server.wait_stalled(world.path_of(url))
    bits('cancel', ident)
    assert jobs(bits) == []
    assert list(vault.iterdir()) == []


def test_set(world, bits):
    """CLI-23: BITS's names in kebab case; nothing is changed when a word is not understood."""
    ident = bits('create').stdout.strip()
    bits('set', ident, 'display-name=a=b', 'description=text', 'priority=high',
         'minimum-retry-delay=2', 'no-progress-timeout=0')
    job = json.loads(bits('show', ident, '--json').stdout)['jobs'][0]
    assert (job['display-name'], job['description'], job['priority']) == ('a=b', 'text', 'high')
    assert (job['minimum-retry-delay'], job['no-progress-timeout']) == (5, 0)
    for wrong in ('priority=urgent', 'colour=red', 'nothing', 'minimum-retry-delay=-1',
                  'no-progress-timeout=4294967296'):
        bits('set', ident, 'display-name=changed', wrong, status=2)
    assert jobs(bits)[0]['display-name'] == 'a=b'
    assert '0x80200021' in bits('set', ident, 'display-name=' + 'x' * 300, status=1).stderr


def test_set_keys_and_show_values(world, bits):
    """CLI-283: every key is listed with what may be written; CLI-282: values alone, for scripts."""
    ident = bits('create', 'a name').stdout.strip()
    keys = [line.split()[0] for line in bits('set', '--keys').stdout.splitlines()]
    assert {'display-name', 'priority', 'proxy', 'notify-flags'} <= set(keys)
    shown = bits('show', ident).stdout
    job = json.loads(bits('show', '--json', ident).stdout)['jobs'][0]
    keys.remove('custom-headers-write-only')    # nothing to read
    for key in keys:        # CLI-281
        assert key in job
        value = bits('show', ident, key).stdout
        assert value.count('\n') == 1
        if job[key] not in (None, ''):
            assert re.search(rf'^{key} ', shown, re.M)
    assert bits('show', ident, 'priority', 'display-name').stdout == 'normal\na name\n'
    read_only = ('state', 'type', 'error', 'error-count', 'bytes-total', 'bytes-transferred', 'waiting-for',
                 'wait-reason', 'next-attempt')     # CLI-333
    assert bits('show', ident, *read_only).stdout.split('\n')[:-1] == \
        ['suspended', 'download', '', '0', '0', '0', '', '', '0']
    assert bits('show', ident, 'owner', 'owner-uid').stdout.splitlines() == [job['owner'], str(job['owner-uid'])]
    assert 'can be read, not set' in bits('set', ident, 'state=queued', status=2).stderr
    assert 'colour' in bits('show', ident, 'colour', status=2).stderr
    bits('show', '--json', ident, 'priority', status=2)


def test_other_settings(world, bits):
    """CLI-330"""
    ident = bits('create').stdout.strip()

    def show():
        return bits('show', ident, 'maximum-download-time', 'use-stored-credentials').stdout.split()
    assert show() == ['7776000', 'none']
    bits('set', ident, 'maximum-download-time=60', 'use-stored-credentials=proxy')
    assert show() == ['60', 'proxy']
    bits('set', ident, 'maximum-download-time=0', 'use-stored-credentials=none')
    assert show() == ['7776000', 'none']
    assert 'none, or proxy' in bits('set', ident, 'use-stored-credentials=server', status=2).stderr


def test_file_of_a_job(world, bits):
    """CLI-292: by its number; CLI-293: all of them at once."""
    one, two, vault = world.put(5000), world.put(5000, version=1), world.vault()
    ident = bits('create').stdout.strip()
    bits('set', ident, 'on-demand-mode=yes')
    bits('add', ident, one, vault / 'file')
    shown = bits('file', 'show', ident, 0).stdout
    assert one in shown and str(vault / 'file') in shown
    bits('file', 'url', ident, 0, two)
    assert json.loads(bits('file', 'show', '--json', ident, 0).stdout)['files'][0]['remote-name'] == two
    bits('replace-prefix', ident, two[:-1], two[:-1])
    assert 'begins so' in bits('replace-prefix', ident, 'ftp:', 'http:').stderr
    bits('file', 'request', ident, 0, '100:50,1000:10')
    bits('resume', ident)
    world.manager().job(ident).wait('suspended')
    file, = json.loads(bits('file', 'show', '--json', ident, 0).stdout)['files']
    assert file['filled-ranges'] == '100:50,1000:10' and file['response-headers'].startswith('HTTP/1.1 206')
    assert 'filled' in bits('file', 'show', ident, 0).stdout
    bits('file', 'position', ident, 0, '2000')
    bits('set', ident, 'on-demand-mode=no')
    bits('resume', ident)
    bits('wait', ident)
    bits('file', 'valid', ident, 0, 'yes')
    assert json.loads(bits('file', 'show', '--json', ident, 0).stdout)['files'][0]['validation-state'] is True
    bits('file', 'valid', ident, 0, 'no')
    assert jobs(bits)[0]['error'] == '0x80200053'
    assert 'has no file 1' in bits('file', 'show', ident, 1, status=1).stderr
    for wrong in (['show', ident], ['show', ident, 'first'], ['eat', ident, 0], ['valid', ident, 0, 'perhaps'],
                  ['request', ident, 0, 'all'], ['url', ident, 0], []):
        bits('file', *wrong, status=2)
    bits('replace-prefix', ident, 'a', status=2)


def test_http_settings(world, bits):
    """CLI-291: words for flags, lines for headers, letters for rights."""
    ident = bits('create').stdout.strip()
    bits('set', ident, 'security-flags=ignore-name,no-redirects', 'custom-headers=A: b\\nC: d', 'file-acl-flags=og')
    assert bits('show', ident, 'security-flags', 'custom-headers', 'file-acl-flags').stdout.splitlines() == [
        'ignore-name,no-redirects', 'A: b\\nC: d', 'og']
    bits('set', ident, 'security-flags=0x1', 'custom-headers=', 'file-acl-flags=none')
    assert bits('show', ident, 'security-flags', 'custom-headers', 'file-acl-flags').stdout.splitlines() == [
        'check-revocation', '', 'none']
    for wrong in ('security-flags=ignore-all', 'file-acl-flags=x', 'custom-headers-write-only=maybe'):
        bits('set', ident, wrong, status=2)
    assert 'E_INVALIDARG' in bits('set', ident, 'custom-headers=Host: x', status=1).stderr


def test_certificate(world, bits, tmp_path):
    """CLI-290: certificate, key and passphrase are set from files; what is shown is their names."""
    vault = world.vault()
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-days', '2', '-subj', '/CN=x', '-passout',
                    'pass:secret', '-keyout', vault / 'key', '-out', vault / 'certificate'], check=True,
                   capture_output=True)
    (vault / 'word').write_text('secret\n')
    if world.root:
        for path in vault.iterdir():
            os.chown(path, world.alice, world.alice)
    ident = bits('create').stdout.strip()
    bits('certificate', 'set', ident, vault / 'certificate', '--key', vault / 'key',
         '--passphrase-file', vault / 'word')
    assert bits('show', ident, 'client-certificate', 'client-certificate-key').stdout.splitlines() == [
        str(vault / 'certificate'), str(vault / 'key')]
    bits('certificate', 'remove', ident)
    assert 'had no certificate' in bits('certificate', 'remove', ident).stderr
    assert bits('show', ident, 'client-certificate').stdout == '\n'
    assert 'No such file' in bits('certificate', 'set', ident, vault / 'nothing', status=1).stderr
    for wrong in (['set', ident], ['drop', ident], ['remove', ident, '--key', 'x'], []):
        bits('certificate', *wrong, status=2)


def test_no_table_cuts_an_id(world, bits):
    """CLI-422"""
    ident = bits('create', 'a name that is longer than the narrow terminal').stdout.strip()
    terminal = Terminal(world, 'list', columns=60)
    assert terminal.end() == 0
    head, line = terminal.output.decode().splitlines()
    assert line.startswith(f'{ident[:8]} a name') and ' suspended normal ' in line and len(line) <= 60


def test_list_on_a_narrow_terminal(world, bits):
    """CLI-494: no line is broken or too long; what one can do without goes first."""
    ident = bits('create', 'a name that is longer than the narrow terminal').stdout.strip()
    for columns, last in ((40, 'PROGRESS'), (52, 'ERROR'), (90, 'ERROR')):
        terminal = Terminal(world, 'list', columns=columns)
        assert terminal.end() == 0
        head, line = terminal.output.decode().splitlines()
        assert head.startswith('ID ') and head.split()[-1] == last and len(head) <= columns
        assert line.startswith(f'{ident[:8]} a n') and ' suspended ' in line and len(line) <= columns
        assert ('PRIORITY' in head) == (columns == 90)


def test_list(world, bits):
    """CLI-21: says "no jobs"; a table for people, everything for programs."""
    assert bits('list').stdout == 'no jobs\n'
    assert jobs(bits) == []
    ident = bits('create', 'a job').stdout.strip()
    head, line = bits('list').stdout.splitlines()
    assert head.split() == ['ID', 'NAME', 'STATE', 'PRIORITY', 'PROGRESS', 'FILES', 'ERROR']
    assert line.split() == [ident[:8], 'a', 'job', 'suspended', 'normal', '-', '0/0']
    job, = jobs(bits)
    assert job['owner-uid'] == world.alice and job['error'] is None


def test_all_users(root_world, bits):
    """CLI-21: for administrators; CLI-01: who may also name those jobs."""
    world = root_world
    ident = bits('create', 'alices').stdout.strip()
    assert bits('list', uid=world.bob).stdout == 'no jobs\n'
    assert "no job" in bits('show', ident, uid=world.bob, status=1).stderr
    assert 'E_ACCESSDENIED' in bits('list', '--all-users', uid=world.bob, status=1).stderr
    assert str(world.alice) in bits('list', '--all-users', uid=0).stdout
    bits('cancel', 'alices', uid=0)


def test_names_of_jobs(world, bits):
    """CLI-01: id, beginning of it, display name; ambiguity is told."""
    first, second = (bits('create', 'twin').stdout.strip() for _ in range(2))
    said = bits('show', 'twin', status=1).stderr
    assert "'twin' names 2 jobs" in said and first[:8] in said and second[:8] in said
    assert first in bits('show', '{' + first.upper() + '}').stdout
    assert "no job 'nobody'" in bits('show', 'nobody', status=1).stderr
    assert 'no job' in bits('show', '01234567-89ab-cdef-0123-456789abcdef', status=1).stderr


def test_empty_job(world, bits):
    """CLI-30: what failed, why, and what to do next."""
    ident = bits('create').stdout.strip()
    said = bits('resume', ident, status=1).stderr
    assert 'cannot resume job' in said and 'BG_E_EMPTY 0x80200003' in said and 'bits add' in said


def test_a_name_cannot_steer_the_terminal(world, bits):
    """CLI-31"""
    ident = bits('create', 'a\033[2J\033]0;b\007').stdout.strip()
    for arguments in (['list'], ['show', ident]):
        output = bits(*arguments).stdout
        assert '\033' not in output and '\007' not in output


@pytest.mark.parametrize('arguments', [
    [], ['nonsense'], ['--nonsense'], ['get'], ['get', 'a', 'b', 'c'],
    ['get', '--priority', 'x', 'u'],
    ['create', 'a', 'b'], ['create', '--type', 'x'], ['add'], ['add', 'j'], ['add', 'j', 'u'],
    ['add', 'j', 'u', 'f', '--from', 'l'], ['resume'], ['wait'], ['wait', '--timeout', 'x', 'j'],
    ['list', 'x'], ['show'], ['show', 'a', 'b'], ['set'], ['set', 'j'], ['token'], ['token', 'x'],
    ['token', 'set'], ['token', 'flags', 'j'], ['token', 'flags', 'j', 'all'],
    ['token', 'clear', 'j', '--as', 'root'], ['help', 'x']])
def test_wrong_calls(world, bits, arguments):
    """CLI-32: status 2 and the usage line of the verb."""
    result = bits(*arguments, status=2)
    assert result.stdout == '' and 'usage: bits' in result.stderr


@pytest.mark.parametrize('arguments, words', [
    (['list', '--nonsense'], "'--nonsense' is no option here"), (['get', '--p', 'x'], "'--p' is no option here"),
    (['list', '-x'], "'-x' is no option here"), (['wait', '--timeout'], "'--timeout' needs a value"),
    (['--json=x', 'list'], "'--json' takes no value"), (['list', '--\033[2J'], "'--?[2J' is no option")])
def test_wrong_options(world, bits, arguments, words):
    """CLI-423"""
    stderr = bits(*arguments, status=2).stderr
    assert stderr.startswith(f'bits: {words}') and '\nusage: bits ' in stderr and '\033' not in stderr


def test_manual_pages_are_complete(world, bits):
    """CLI-423"""
    manual = (HERE.parent / 'man/bits.1').read_text().replace('\\-', '-')
    keys = json.loads(bits('set', '--keys', '--json').stdout)['keys']
    assert [key['key'] for key in keys] == re.findall('^[a-z-]+', bits('set', '--keys').stdout, re.M)
    words = [key['key'] for key in keys]
    for verb in re.findall(r'^  ([a-z][a-z-]*) ', bits('help').stdout, re.M):
        words += [verb, *re.findall(r'--[a-z-]+', bits(verb, '--help').stdout)]
    assert [word for word in words if not re.search(rf'(?<![a-z-]){word}(?![a-z-])', manual)] == []
    manual = (HERE.parent / 'man/bitsadmin.1').read_text()
    switches = re.findall('^  (/[a-z]+)', world.playground.run(['bitsadmin', '/help']).stdout, re.M)
    assert len(switches) > 60
    assert [switch for switch in switches if not re.search(rf'{switch}(?![a-z])', manual)] == []


def test_ctrl_c_at_a_password(world, bits):
    """CLI-423, CLI-51: the terminal echoes again, and the command ended by the signal."""
    ident = bits('create', 'a').stdout.strip()
    terminal = Terminal(world, 'credentials', 'set', ident, 'server', 'basic', 'paul')
    terminal.read_until(b'Password of paul')
    bus.poll_until(lambda: not termios.tcgetattr(terminal.master)[3] & termios.ECHO, 'silence')
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(bus.DEADLINE) == -signal.SIGINT
    assert termios.tcgetattr(terminal.master)[3] & termios.ECHO
    os.close(terminal.master)


def test_help(world, bits):
    """CLI-33"""
    version = bits('--version').stdout
    assert re.fullmatch(r'bits \(OpenBITS\) \d+\.\d+\.\d+\n', version)
    text = bits('--help').stdout
    assert bits('help').stdout == text
    verbs = re.findall(r'^  ([a-z][a-z-]*) ', text, re.M)
    assert len(verbs) == 20
    for verb in verbs:
        assert bits(verb, '--help').stdout.startswith(f'usage: bits {verb} ')


def test_mistyped_words(world, bits):
    """CLI-497: what was meant, not only that there is no such thing."""
    ident = bits('create', 'a').stdout.strip()
    for words, meant in ((['gte', 'http://h/x'], "'get'"), (['delete', ident], "'cancel'"), (['help', 'lst'], "'list'"),
                         (['list', '--al-users'], "'--all-users'"), (['set', ident, 'prority=high'], "'priority'"),
                         (['show', ident, 'stat'], "'state'"), (['show', ident, 'priorty'], "'priority'"),
                         (['frobnicate'], None), (['list', '--frobnicate'], None)):
        said = bits(*words, status=2).stderr
        assert (f'did you mean {meant}?' in said) if meant else 'did you mean' not in said, said


def test_no_service():
    """CLI-34: no bus at all."""
    import playground_lib
    build = playground_lib.default_build()
    result = subprocess.run([f'{build}/src/cli/bits', 'list'], text=True, capture_output=True,
                            env={'DBUS_SYSTEM_BUS_ADDRESS': 'unix:path=/nonexistent/bus'})
    assert result.returncode == 1
    assert 'cannot reach the OpenBITS service (bitsd)' in result.stderr
    assert 'systemctl start' in result.stderr


def test_user_without_an_account(root_world, bits):
    """LIB-330: the bus takes nobody else; that is said, and not that the service were gone."""
    stderr = bits('list', uid=61999, status=1).stderr
    assert 'refused the connection of user 61999' in stderr and 'account' in stderr


def test_usage_and_completion_know_the_same_options(bits):
    """CLI-332"""
    script = (HERE.parent / 'completion' / 'bits.bash').read_text()
    verbs = re.findall(r"^ +([a-z]+)\) (words\+='.*?) ;;$", script, re.M | re.S)
    assert {'get', 'put', 'create', 'admin'} <= {verb for verb, words in verbs}
    for verb, words in verbs:
        completed = set(re.findall(r'--[a-z-]+', words))
        usage = bits(verb, '--help').stdout
        assert completed <= set(re.findall(r'--[a-z-]+', usage)), verb
        if verb in ('get', 'put', 'create', 'add', 'wait', 'list', 'watch', 'set'):
            assert set(re.findall(r'--[a-z-]+', usage)) == completed, verb


# ---- identities, administration ----

# CLI-60
def test_client_certificate_is_a_flag(root_world, bits):
    ident = bits('create').stdout.strip()
    for words in ('client-certificate', 'local-file,network,client-certificate'):
        bits('token', 'flags', ident, words)
        token, = json.loads(bits('token', 'show', ident, '--json').stdout)['tokens']
        assert token['helper-flags'] == words
    assert 'client certificate as' in bits('show', ident).stdout


# CLI-65
def test_show_names_both_identities_and_what_is_missing(root_world, bits):
    world = root_world
    ident = bits('create').stdout.strip()

    def shown(key):
        lines = bits('show', ident).stdout.splitlines()
        return next((line.split(None, key.count(' ') + 1)[-1] for line in lines
                     if line.startswith(key + ' ')), None)
    assert 'owner' in shown('local files as') and 'bits-alice' in shown('local files as')
    bits('token', 'set', ident, '--as', 'bits-bob', uid=0)
    bits('token', 'flags', ident, 'network')
    assert 'owner' in shown('local files as') and 'bits-alice' in shown('local files as')
    assert 'helper' in shown('network as') and 'bits-bob' in shown('network as')
    bits('add', ident, world.put(100), world.vault() / 'a')
    bits('token', 'clear', ident)
    assert f'bits token set {ident[:8]}' in shown('network as')
    world.restart('bitsd')              # who it was is remembered
    bits('resume', ident)
    bits('wait', ident, status=1)
    waits = shown('waits')
    assert waits.startswith('helper token needed: run bits token set')
    assert ident[:8] in waits and '--as bits-bob' in waits
    told = waits.split('run ')[1].split(', then ')
    bits(*told[0].split()[1:], uid=0)           # what it says is what helps
    assert shown('waits') is None               # TOK-460
    assert shown('advice') == f'the job has what it needs: {told[1]}'
    bits(*told[1].split()[1:])
    bits('wait', ident)


# TOK-464
def test_call_that_wants_a_helper_says_what_to_do(root_world, bits):
    world = root_world
    ident = bits('create').stdout.strip()
    bits('token', 'flags', ident, 'local-file')
    words = ('add', ident, world.put(100), world.vault(world.bob) / 'a')
    said = bits(*words, status=1).stderr
    assert 'the job has no helper token' in said and 'bits token set JOB --as USER' in said
    assert said.strip().endswith('then try again')
    bits('token', 'set', ident, '--as', 'bits-bob', uid=0)
    bits(*words)
    bits('resume', ident)
    bits('wait', ident)
    bits('token', 'clear', ident)
    said = bits('complete', ident, status=1).stderr
    assert 'the job has no helper token' in said and said.strip().endswith('then try again')
    bits('token', 'set', ident, '--as', 'root', uid=0)
    said = bits('token', 'flags', ident, 'none', status=1).stderr
    assert "holds an administrator's helper token" in said
    bits('token', 'clear', ident)
    bits('token', 'set', ident, '--as', 'bits-bob', uid=0)
    bits('complete', ident)


# CLI-61
def test_take_makes_a_job_ones_own(root_world, bits):
    world = root_world
    ident = bits('create', 'of alice').stdout.strip()
    assert 'E_ACCESSDENIED' in bits('take', ident, status=1).stderr
    shown, = json.loads(bits('show', ident, '--json').stdout)['jobs']
    assert (shown['owner-elevated'], shown['owner-integrity-level']) == (False, 0x2000)
    bits('take', ident, uid=0)
    shown, = json.loads(bits('show', ident, '--json', uid=0).stdout)['jobs']
    assert (shown['owner-elevated'], shown['owner-integrity-level']) == (True, 0x4000)
    bits('show', ident, status=1)
    assert [entry['id'] for entry in json.loads(
        bits('list', '--json', uid=0).stdout)['jobs']].count(ident) == 1
    job = world.manager().create()
    job.add(world.put(1), world.vault() / 'a')
    error = bits('take', job.id, uid=0, status=1).stderr
    assert 'BG_E_NEW_OWNER_NO_FILE_ACCESS' in error and 'a: ' in error


def owners(bits, world):
    state = f'--state-directory={world.playground.state}/openbits-broker'
    return {entry['uid']: entry for entry in json.loads(
        bits('admin', 'owners', state, '--json', uid=0).stdout)['owners']}


# CLI-62, CLI-63
def test_ledger_of_owners_is_listed_and_shortened(root_world, bits):
    world = root_world
    state = f'--state-directory={world.playground.state}/openbits-broker'
    bits('create')
    entry = owners(bits, world)[world.alice]
    assert entry['name'] == 'bits-alice' and abs(entry['since'] / 1e6 - time.time()) < 86400
    assert 'bits-alice' in bits('admin', 'owners', state, uid=0).stdout
    job = world.manager(world.carol).create()
    assert world.carol in owners(bits, world)
    bits('admin', 'owners', state, 'remove', 'bits-carol', uid=0)
    assert world.carol not in owners(bits, world)
    assert 'not in the ledger' in bits('admin', 'owners', state, 'remove', world.carol, uid=0,
                                       status=1).stderr
    # The broker holds to it: carol's job gets no worker until she shows herself again.
    with pytest.raises(Exception, match='NotLoggedOn'):
        job.add(world.put(1), world.vault(world.carol) / 'a')
    world.playground.presented.discard(world.carol)
    world.present(world.carol)
    job.add(world.put(1), world.vault(world.carol) / 'b')


# CLI-62
def test_ledger_is_for_root(root_world, bits):
    state = f'--state-directory={root_world.playground.state}/openbits-broker'
    assert 'root' in bits('admin', 'owners', state, status=1).stderr
    bits('admin', status=2)
    bits('admin', 'owners', 'forget', status=2)
    bits('admin', 'owners', 'remove', status=2)


# CLI-64
def test_all_users_without_polkit_says_who_may(root_world, bits):
    error = bits('list', '--all-users', status=1).stderr
    assert 'administrator' in error and 'E_ACCESSDENIED' in error
