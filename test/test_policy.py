"""bitsd.conf with the real programs: limits, bandwidth, cost, power and the network, as an
administrator sets them while jobs run.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import signal
import subprocess

import pytest

import bus
import playground_lib

READ, KEPT = 'the configuration was read again', 'the configuration is not changed'
EX_CONFIG = 78


class Configured:
    """The playground's configuration: what is written here is in force when the call returns."""

    def __init__(self, playground):
        self.playground = playground
        self.folder = pathlib.Path(playground.directory, 'config')

    def reload(self, answer=READ):
        """Gives what bitsd says about it."""
        start = len(self.playground.log('bitsd'))
        for pid in self.playground.pids('bitsd'):
            os.kill(pid, signal.SIGHUP)
        bus.poll_until(lambda: answer in self.playground.log('bitsd')[start:], answer)
        return self.playground.log('bitsd')[start:]

    def write(self, text, name='bitsd.conf', answer=READ):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return self.reload(answer)

    def clear(self):
        for path in self.folder.rglob('*.conf'):
            path.unlink()
        self.reload()


@pytest.fixture
def config(world):
    configured = Configured(world.playground)
    yield configured
    configured.clear()


# ---- the files ----

def bitsd(*arguments):
    program = pathlib.Path(playground_lib.default_build(), 'src/manager/bitsd')
    return subprocess.run([program, *arguments], text=True, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL)


# POL-210
def test_a_wrong_file_is_told_and_nothing_is_started(tmp_path):
    (tmp_path / 'bitsd.conf').write_text('[Limits]\nMaxJobsPerUser=5\n')
    result = bitsd('--check-config', f'--config-directory={tmp_path}')
    assert result.returncode == 0 and str(tmp_path) in result.stdout
    (tmp_path / 'bitsd.conf').write_text('[Limits]\nMaxJobsPerUser=five\n[Bandwith]\nX=1\n')
    for arguments in ('--check-config',), (f'--state-directory={tmp_path}/state', '--user'):
        result = bitsd(*arguments, f'--config-directory={tmp_path}')
        assert result.returncode == EX_CONFIG
        assert f"{tmp_path}/bitsd.conf:2: 'five' is no value of MaxJobsPerUser; allowed are " \
               'the numbers 1 to 1000000' in result.stderr
        assert f'{tmp_path}/bitsd.conf:4: ' in result.stderr
    assert not (tmp_path / 'state').exists()


# POL-209, POL-200
def test_limits_are_those_of_the_file_at_once(world, config):
    if world.alice < 1000:
        pytest.skip('root and service accounts have no limits')
    config.write('[Limits]\nMaxFilesPerJob=2\n')
    manager, vault = world.manager(), world.vault()
    job = manager.create('job')
    url = world.put(10)
    job.add_all([(url, vault / '1'), (url, vault / '2')])
    with pytest.raises(bus.BusError) as caught:
        job.add(url, vault / '3')
    assert caught.value.short == 'TooManyFilesInJob'
    said = config.write('[Limits]\nMaxFilesPerJob=3\nMaxJobsPerUser=none\n', answer=KEPT)
    assert "bitsd.conf:3: 'none' is no value of MaxJobsPerUser" in said
    with pytest.raises(bus.BusError):
        job.add(url, vault / '3')
    config.write('[Limits]\nMaxFilesPerJob=3\n')
    job.add(url, vault / '3')


# POL-212
def test_background_jobs_at_once(world, config):
    vault = world.vault()
    url = world.put(100_000, stall_after=1000)
    jobs = [world.start(url, vault / str(n)) for n in range(3)]
    jobs[0].wait('transferring')
    assert [job.state for job in jobs[1:]] == ['queued', 'queued']
    config.write('[Limits]\nMaxBackgroundJobs=3\n')
    for job in jobs:
        job.wait('transferring')
    config.write('[Limits]\nMaxBackgroundJobs=1\n')
    bus.poll_until(lambda: sorted(job.state for job in jobs) == ['queued', 'queued', 'transferring'],
                   'two jobs to make room')


# POL-201
def test_the_example_says_what_holds_anyway(tmp_path):
    root = pathlib.Path(__file__).resolve().parent.parent
    lines = (root / 'data/bitsd.conf').read_text().splitlines()
    settings = [line[1:] for line in lines if re.match(r'#\w+=', line)]
    (tmp_path / 'bitsd.conf').write_text('\n'.join(
        line[1:] if line[1:] in settings else line for line in lines))
    result = bitsd('--check-config', f'--config-directory={tmp_path}')
    assert result.returncode == 0, result.stderr
    source = (root / 'src/core/config.c').read_text()
    names = re.findall(r'\{ "(\w+)",\s*"(\w+)",\s*KIND', source)
    assert len(names) > 35 and len(settings) == len(names)
    assert [name for name in settings if name.split('=')[0] not in dict.fromkeys(n for _, n in names)] == []
    man = (root / 'man/bitsd.conf.5').read_text()
    assert [name for _, name in names if f'{name}=' not in man] == []
