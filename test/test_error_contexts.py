"""Which context each code has in a job's error, which codes are answers only, and which never occur:
doc/errors.md against the code and the running service. (conftest.py holds every error that any test
reads from a job against the same tables.)

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import socket

import pytest

import bus
import error_tables
from error_tables import ANSWERS, JOBS, NEVER

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / 'src'
CONTEXTS = {0x00200006, *range(0x80200007, 0x8020000D), 0x8020001E, 0x80200076}


def listed_codes():
    lines = (ROOT / 'test' / 'codes.txt').read_text().splitlines()
    return {int(line.split()[0], 16): line.split()[1] for line in lines if not line.startswith('#')}


def named_codes():
    """Of error.h: number -> the name in the code."""
    text = (SOURCES / 'core' / 'error.h').read_text()
    return {int(number, 16): name for name, number in
            re.findall(r'^\s+((?:BG|BITS)_[ES]_[A-Z_]+) = 0x([0-9A-F]{8})u', text, re.M)}


def table_of_the_code():
    """Of error-table.c: number -> (letter, documented name)."""
    text = (SOURCES / 'core' / 'error-table.c').read_text()
    return {int(number, 16): (kind, name) for number, kind, name in
            re.findall(r'\{ 0x([0-9A-F]{8})u, ([AFT]),\s+"([^"]+)"', text)}


# JOB-402
def test_every_code_is_in_the_document_once():
    known = {code for code in (*listed_codes(), *named_codes())
             if not 0x80190000 <= code < 0x80194000}
    documented = [*JOBS, *ANSWERS, *NEVER, *CONTEXTS]
    assert sorted(known - set(documented)) == [] and sorted(set(documented) - known) == []
    assert len(documented) == len(set(documented))


# JOB-402
def test_the_document_has_the_names_of_the_codes():
    names = table_of_the_code()
    for code, name in error_tables.NAMES.items():
        assert names[code][1] == name, hex(code)


# JOB-402
def test_what_never_occurs_is_answered_nowhere_and_the_rest_is():
    """Tables of codes answer nothing."""
    tables = {'error.h', 'error-table.c', 'wait.c'}
    text = '\n'.join(path.read_text() for path in SOURCES.rglob('*.[ch]')
                     if path.name not in tables and not path.name.startswith(('test-', 'fuzz-')))
    for code, name in named_codes().items():
        answered = bool(re.search(rf'\b{name}\b', text))
        assert answered == (code not in NEVER), f'{name}: {"never" if answered else "not"} answered'


# JOB-401
def test_the_document_says_what_is_tried_again():
    kinds = table_of_the_code()
    assert [hex(code) for code, row in JOBS.items() if row.again != (kinds[code][0] == 'T')] == []


# ---- the running service: each case is a job, and the code that it ends with ----

def refused(world, vault):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        return world.start(f'http://127.0.0.1:{unused.getsockname()[1]}/a', vault / 'a')


def proxied(world, vault):
    job = world.manager().create()
    job.add(world.put(1), vault / 'a')
    job.call('SetProxySettings', 'sss', 'override', 'ftp://proxy', '')
    job.resume()
    return job


def beyond(world, vault, **fields):
    job = world.manager().create()
    job.add_ranges(world.put(100, **fields), vault / 'a', [(50, 100)])
    job.resume()
    return job


def limited(world, vault):
    job = world.manager().create()
    job.set('MaxDownloadSize', 10, 't')
    job.add(world.put(11), vault / 'a')
    job.resume()
    return job


def unfinished(world, vault):
    job = world.manager().create()
    job.set('MaximumDownloadTime', 1)
    job.add(world.put(100_000, stall_after=10), vault / 'a')
    job.resume()
    return job


def without_token(world, vault):
    job = world.start(world.put(100_000, stall_after=10), vault / 'a')
    job.wait('transferring')
    job.set_helper_flags(bus.NETWORK)
    return job


def invalidated(world, vault):
    job = world.start(world.put(10), vault / 'a')
    job.wait('transferred')
    job.file().call('SetValidationState', 'b', False)
    return job


def replaced(world, vault):
    """The directory gives way to a file."""
    job = world.manager().create()
    folder = vault / 'folder'
    folder.mkdir()
    os.chown(folder, world.alice, -1)
    job.add(world.put(10), folder / 'a')
    folder.rmdir()
    folder.write_bytes(b'')
    job.resume()
    return job


def source(path, uid, content=b'content'):
    path.write_bytes(content)
    os.chown(path, uid, -1)
    return path


def changed(world, vault):
    job, path = world.manager().create('job', 'upload'), source(vault / 'a', world.alice)
    job.add(world.put(0, status=503), path)
    job.resume()
    job.wait('transient-error')
    source(path, world.alice, b'something else')
    job.resume()
    return job


def unsent(world, vault):
    job, path = world.manager().create('job', 'upload'), source(vault / 'a', world.alice)
    job.add(world.put(0, status=200), path)
    path.unlink()
    job.resume()
    return job


def sent_to_no_uploads(world, vault, **fields):
    job = world.manager().create('job', 'upload')
    job.add(world.put(0, **fields), source(vault / 'a', world.alice))
    job.resume()
    return job


CASES = {
    'refused': (0x80072EFD, refused),
    'name': (0x80072EE7, lambda w, v: w.start('http://no-such-host.invalid/a', v / 'a')),
    'cut': (0x80072EFE, lambda w, v: w.start(w.put(1000, cut_after=10, ranges=False), v / 'a')),
    'too little': (0x80072EFE, lambda w, v: w.start(w.put(1000, length_lie=5), v / 'a')),
    'no http': (0x8020001B, lambda w, v: w.start(w.put(1, raw='SSH-2.0-x\r\n' * 9), v / 'a')),
    'redirect': (0x8020001B, lambda w, v: w.start(w.put(1, status=302, location='ftp://a/b'), v / 'a')),
    'status': (0x80190194, lambda w, v: w.start(w.put(1, status=404), v / 'a')),
    'proxy': (0x8020003F, proxied),
    'beyond': (0x8020002B, beyond),
    'ranges': (0x80200013, lambda w, v: beyond(w, v, ranges=False)),
    'limited': (0x80200064, limited),
    'unfinished': (0x80200054, unfinished),
    'token': (0x80200056, without_token),
    'invalidated': (0x80200053, invalidated),
    'path': (0x80070003, replaced),
    'missing': (0x80070002, lambda w, v: w.start((v / 'no-such-file').as_uri(), v / 'a')),
    'closed': (0x80070005, lambda w, v: w.start('file:///etc/shadow', v / 'a')),
    'directory': (0x80070057, lambda w, v: w.start('file:///usr', v / 'a')),
    'changed': (0x8020001D, changed),
    'source': (0x80070002, unsent),
    'no uploads': (0x801901F5, lambda w, v: sent_to_no_uploads(w, v, status=501)),
    'forbidden upload': (0x80070005, lambda w, v: sent_to_no_uploads(w, v, status=403)),
    'moved upload': (0x8019012E, lambda w, v: sent_to_no_uploads(w, v, status=302, location='/b')),
}


# JOB-401, JOB-403
@pytest.mark.parametrize('case', CASES)
def test_code_context_file_and_state(world, case):
    code, begin = CASES[case]
    job = begin(world, world.vault())
    row = JOBS.get(code) or error_tables.status_row(code)
    job.wait('transient-error' if row.again else 'error')
    fault = job.error()     # its context is looked at by conftest.py
    assert fault.code == code
    assert bool(fault.local_name) == bool(fault.remote_name) == (fault.context != 2)
    assert len(fault.text) > 10
