"""Completion in real shells, against the real service.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import shlex
import shutil

import pytest

from conftest import HERE
from test_cli import Terminal, bits  # noqa: F401

COMPLETION = HERE.parent / 'completion'
FUNCTIONS = {'bits': '_bits', 'bitsadmin': '_bitsadmin'}


@pytest.fixture
def complete(world):
    """What bash offers for the last of these words, as bash has it: quoted as they are typed."""
    def run(program, *words):
        words = [program, *words] if world.root or program == 'bitsadmin' else [program, '--user', *words]
        script = (f'. {COMPLETION}/{program}.bash; COMP_WORDS=({shlex.join(words)}); '
                  f'COMP_CWORD={len(words) - 1}; {FUNCTIONS[program]}; printf "%s\\n" "${{COMPREPLY[@]}}"')
        options = {'uid': world.alice} if world.root else {}
        result = world.playground.run(['bash', '--norc', '-c', script], **options)
        assert result.returncode == 0 and result.stderr == '', result.stderr
        return result.stdout.split('\n')[:-1] if result.stdout.strip() else []
    return run


def test_verbs_jobs_and_names_in_bash(world, bits, complete):    # noqa: F811
    """CLI-495: verbs, ids, names as one has to type them, values."""
    assert complete('bits', 're') == ['resume', 'replace-prefix']
    assert complete('bits', 'resume', '') == []
    ident = bits('create', 'the "first" \\ job').stdout.strip()
    assert complete('bits', 'resume', '') == [ident, '\\ '.join(['the', '\\"first\\"', '\\\\', 'job'])]
    assert complete('bits', 'show', ident[:3]) == [ident]
    assert complete('bits', 'show', 'the\\ ') == ['\\ '.join(['the', '\\"first\\"', '\\\\', 'job'])]
    assert 'priority=' in complete('bits', 'set', ident, 'prio')
    assert complete('bits', 'token', 'flags', ident, 'l') == ['local-file', 'local-file,network']


def test_switches_and_jobs_of_bitsadmin_in_bash(root_world, bits, complete):    # noqa: F811
    """CLI-496: from /help, whatever the case; GUIDs where a job stands, words where words stand."""
    ident = '{' + bits('create', 'a').stdout.strip().upper() + '}'
    assert complete('bitsadmin', '/li') == ['/list', '/listfiles']
    assert complete('bitsadmin', '/RawReturn', '/SETP') == ['/setpriority', '/setproxysettings',
                                                            '/setpeercachingflags']
    assert complete('bitsadmin', '/suspend', '') == [ident]
    assert complete('bitsadmin', '/SetPriority', ident, 'n') == ['NORMAL']
    assert complete('bitsadmin', '/info', ident, '/') == ['/verbose']
    assert complete('bitsadmin', '/create', '/up') == ['/upload', '/upload-reply']
    assert complete('bitsadmin', '/nothing', '') == complete('bitsadmin', '/e|x||', '') == []


def test_no_switch_is_forgotten(root_world, complete):
    """CLI-496"""
    usage = root_world.playground.run(['bitsadmin', '/rawreturn', '/help']).stdout
    switches = set(re.findall(r'^  (/\w+)', usage, re.M))
    assert switches - set(complete('bitsadmin', '/')) == set() and len(switches) > 60


@pytest.fixture
def zsh(world):
    """A zsh that completes, at its prompt."""
    if not shutil.which('zsh'):
        pytest.skip('needs zsh')
    shell = Terminal(world, program=['zsh', '-f', '-i'])
    functions = world.base / 'functions'
    functions.mkdir()
    os.chmod(functions, 0o755)
    (functions / '_bits').write_bytes((COMPLETION / 'bits.zsh').read_bytes())
    os.chmod(functions / '_bits', 0o644)
    shell.write(f'fpath=({functions} $fpath); autoload -U compinit; compinit -D -u; '
                'zstyle ":completion:*" list-prompt ""; PS1="rea""dy> "\n')
    shell.read_until(b'ready> ')
    yield shell
    shell.process.kill()
    shell.end()


def test_zsh(world, zsh, bits):    # noqa: F811
    """CLI-495: verbs with what they do, options of each, jobs with name and state, names, keys."""
    mode = '' if world.root else '--user '
    ident = bits('create', 'one job').stdout.strip()
    bits('create', 'another')

    def typed(text, wanted):
        zsh.output = b''
        zsh.write(f'\x15bits {mode}{text}\t')     # ^U: a fresh line
        escapes = r'(\x07|\x1b\[[0-9;?]*[a-zA-Z])*'
        return zsh.read_until(escapes.join(map(re.escape, wanted)).encode())
    typed('resum', 'resume ')
    typed('suspend ' + ident[:5], ident)
    typed('show one', r'one\ job')
    typed('show \t', f'{ident}  -- one job, suspended')
    typed('get --dyn', '--dynamic')
    typed(f'set {ident} min', 'minimum-')
    typed('wait --timeout 5 ' + ident[:5], ident)
    typed('\t', 'watch           -- list jobs whenever they change')
