"""bench/run runs, compares what arrived, and prints its ratios. How fast anything is, is no matter
here: a test machine is busy.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT / 'bench')]

import bench_lib  # noqa: E402
import playground_lib  # noqa: E402

BUILD = pathlib.Path(playground_lib.default_build())

pytestmark = pytest.mark.skipif(not (BUILD / 'bench' / 'limit').exists(),
                                reason='the build has no bench/limit')


def bench(*arguments, **environment):
    return subprocess.run([str(ROOT / 'bench' / 'run'), '--short', '--build', str(BUILD),
                           *map(str, arguments)], env={**os.environ, **environment}, text=True,
                          timeout=600, capture_output=True, stdin=subprocess.DEVNULL)


# BEN-01, BEN-02, BEN-04, BEN-06, BEN-360
def test_every_scenario_runs_and_prints_its_ratios(tmp_path):
    result = bench('--directory', tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    print(result.stdout)
    peers = ['limit'] + [name for name in ('aria2c', 'curl') if shutil.which(name)]
    for scenario in ('large-tmpfs', 'large-disk', 'small-tmpfs', 'small-disk'):
        if scenario + ': skipped' in result.stdout:
            continue
        table = result.stdout.split('\n%s: ' % scenario)[1].split('\n\n')[0]
        figures = r'(?: +\d+\.\d+){%d}'
        assert re.search('^bits' + figures % 4, table, re.M), table
        for peer in peers:
            assert re.search('^' + peer + '[^0-9]*(?:16)?' + figures % 7, table, re.M), table
    for scenario in ('copy-tmpfs', 'copy-disk', 'copies-tmpfs', 'copies-disk', 'upload-tmpfs'):
        if scenario + ': skipped' in result.stdout:
            continue
        table = result.stdout.split('\n%s: ' % scenario)[1].split('\n\n')[0]
        assert re.search('^limit' + figures % 7, table, re.M), table
        assert re.search('^bits' + figures % 4, table, re.M), table
    assert list(tmp_path.iterdir()) == []


# BEN-260, BEN-261
def test_queue_is_measured():
    with tempfile.TemporaryDirectory(prefix='openbits-', dir='/var/tmp') as folder:
        os.chmod(folder, 0o755)    # the daemon of another user has to walk to its state
        measure_queue(pathlib.Path(folder))


def measure_queue(folder):
    result = subprocess.run([str(ROOT / 'bench' / 'queue'), '--short', '--directory', str(folder),
                             '--build', str(BUILD)], text=True, timeout=600, capture_output=True,
                            stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stdout + result.stderr
    figures = r' +\d+ jobs/s in calls of \d+ +\d+ jobs/s one by one +\d+\.\d+ s to start with \d+ jobs'
    assert re.search('^disk' + figures, result.stdout, re.M), result.stdout
    assert re.search('^tmpfs(: skipped|' + figures + ')', result.stdout, re.M), result.stdout
    assert list(folder.iterdir()) == []


def two_folders(tmp_path, change):
    folders = tmp_path / 'source', tmp_path / 'target'
    for folder in folders:
        folder.mkdir()
        for name in 'abc':
            (folder / name).write_bytes(name.encode() * 5000)
    change(folders[1])
    return map(str, folders)


# BEN-05
@pytest.mark.parametrize('change', [
    lambda target: (target / 'b').unlink(),
    lambda target: (target / '.b.bits-0').write_bytes(b''),
    lambda target: (target / 'b').write_bytes(b'b' * 4999 + b'c'),
    lambda target: (target / 'b').write_bytes(b'b' * 4999),
], ids=['missing', 'left over', 'changed', 'short'])
def test_wrong_files_do_not_count(tmp_path, change):
    with pytest.raises(bench_lib.BenchError):
        bench_lib.verify(*two_folders(tmp_path, change))


# BEN-05
def test_right_files_count(tmp_path):
    bench_lib.verify(*two_folders(tmp_path, lambda target: None))
