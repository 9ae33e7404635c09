"""`make run`: the classic case of a job under two identities, and one download.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import subprocess

import pytest

import playground_lib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SWITCHES = playground_lib.may_switch_identity()


def classic(*arguments, **options):
    return subprocess.run([str(ROOT / 'tools/classic'), *map(str, arguments)], text=True, timeout=600,
                          stdin=subprocess.DEVNULL, capture_output=True, **options)


# OPS-16. LIB-09: nobody but the owner's first `bits create` shows him to the broker.
@pytest.mark.parametrize('user', [
    pytest.param(None, marks=pytest.mark.skipif(not SWITCHES, reason='needs root: two identities')),
    'an ordinary user'])
def test_classic_case_succeeds_and_shows_why(user):
    options = {}
    if user and os.geteuid() == 0:
        options = {'user': 'games', 'group': 'games', 'extra_groups': []}
        if subprocess.run(['test', '-r', playground_lib.default_build()], **options).returncode:
            pytest.skip('the build folder is closed to ordinary users')
    result = classic(**options)
    assert result.returncode == 0, result.stdout + result.stderr
    verdicts = [line.strip() for line in result.stdout.splitlines()[-3:]]
    assert all(line.startswith('ok ') for line in verdicts)
    assert 'transferring' in result.stdout and '100 %' in result.stdout
    if not user:
        assert 'backup (uid 34)' in verdicts[0] and '0700' in verdicts[0]
        assert '_apt' in verdicts[1] or 'games' in verdicts[1]


# OPS-17
@pytest.mark.skipif(not playground_lib.Nginx.available(), reason='nginx is not installed')
def test_one_download_lands_in_the_callers_directory(nginx, tmp_path):
    content = os.urandom(100_000)
    url = nginx.publish('file.bin', content)
    os.chmod(tmp_path, 0o755)
    result = classic(url, 'here.bin', cwd=tmp_path)
    if result.returncode and SWITCHES:
        pytest.fail(result.stderr)
    assert (tmp_path / 'here.bin').read_bytes() == content
    assert os.listdir(tmp_path) == ['here.bin']


# OPS-17
def test_failed_download_is_told(server, tmp_path):
    result = classic(server.url('/missing'), tmp_path / 'file', cwd=tmp_path)
    assert result.returncode != 0
    assert '404' in result.stderr + result.stdout
    assert not os.listdir(tmp_path)
