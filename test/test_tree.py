"""The source tree is what doc/ARCHITECTURE.md says: ranks, no cycles, sizes, form.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / 'src'
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)

# directory: what it may include, a whole directory or single headers of one
MAY_INCLUDE = {
    'basic': set(),
    'core': {'basic'},
    'wire': {'basic', 'core/identity.h', 'core/error.h'},
    'sandbox': {'basic'},
    'login': {'basic', 'core/identity.h'},
    'broker': {'basic', 'core/identity.h', 'login', 'wire'},
    'command': {'basic', 'core/command-line.h', 'wire', 'sandbox'},
    'net': {'basic', 'core/credentials.h', 'core/error.h', 'core/http-options.h', 'core/identity.h',
            'core/proxy.h', 'wire', 'sandbox'},
    'pac': {'basic', 'wire', 'sandbox'},
    'file': {'basic', 'core/error.h', 'core/identity.h', 'wire', 'sandbox'},
    'store': {'basic', 'core'},
    'workers': {'basic', 'core', 'login/presence.h', 'wire'},
    'manager': {'basic', 'core', 'login', 'store', 'wire', 'workers'},
    'bus': {'basic', 'core', 'login', 'manager', 'store', 'wire', 'workers'},
    'bitsd': {'basic', 'bus', 'core', 'login', 'manager', 'sandbox', 'store', 'workers'},
    'client': {'openbits.h', 'basic', 'core/error.h'},
    'cli': {'openbits.h'},
    'bitsadmin': {'openbits.h', 'cli/base.h', 'cli/format.h', 'cli/users.h'},
}
MOST_LINES = 800
MOST_COLUMNS = 100
MOST_PYTHON_COLUMNS = 120


def c_files(*folders):
    return sorted(path for folder in folders or ('src', 'include', 'examples', 'bench', 'test')
                  for path in (ROOT / folder).rglob('*.[ch]'))


def name(path):
    return str(path.relative_to(ROOT))


def project_includes(path):
    """The project's headers that a file includes, as "directory/header.h" or "openbits.h"."""
    for kind, header in INCLUDE.findall(path.read_text()):
        if kind == '<':
            if header == 'openbits.h':
                yield header
            continue
        if '/' not in header and not header.startswith('openbits'):    # beside it, or made from such a file
            header = f'{path.parent.name}/{header}'
        yield header


def test_includes_respect_the_ranks():
    breaches = []
    for path in c_files('src'):
        directory = path.relative_to(SOURCE).parts[0]
        allowed = MAY_INCLUDE[directory]
        for header in project_includes(path):
            folder = header.split('/')[0]
            if folder != directory and folder not in allowed and header not in allowed:
                breaches.append(f'{name(path)} includes {header}')
    assert not breaches


def test_quoted_headers_are_the_projects_own():
    strangers = [f'{name(path)}: {header}' for path in c_files('src')
                 for header in project_includes(path)
                 if header != 'openbits.h' and not (SOURCE / header).exists()
                 and not list((SOURCE / header).parent.glob(pathlib.Path(header).stem + '*'))
                 and not (ROOT / 'po' / header.split('catalogue-')[-1]).with_suffix('.po').exists()]
    assert not strangers


def test_no_directory_is_unknown():
    unknown = {path.relative_to(SOURCE).parts[0] for path in c_files('src')} - set(MAY_INCLUDE)
    assert not unknown


def cycle_in(graph):
    """The first cycle found, as a list of nodes, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for following in graph.get(node, ()):
            found = visit(following)
            if found:
                return found
        done.add(path.pop())
        return None
    return next(filter(None, map(visit, list(graph))), None)


def test_the_search_for_cycles_finds_one():
    assert cycle_in({'a': ['b'], 'b': ['c'], 'c': ['b']}) == ['b', 'c', 'b']
    assert cycle_in({'a': ['b', 'c'], 'b': ['c'], 'c': []}) is None


def test_headers_form_no_cycle():
    graph = {str(path.relative_to(SOURCE)): sorted(project_includes(path))
             for path in c_files('src') if path.suffix == '.h'}
    assert cycle_in(graph) is None


def test_directories_form_no_cycle():
    graph = {}
    for path in c_files('src'):
        directory = path.relative_to(SOURCE).parts[0]
        graph.setdefault(directory, set()).update(
            header.split('/')[0] for header in project_includes(path)
            if header.split('/')[0] != directory)
    assert cycle_in(graph) is None


def opens_with_an_essay(path):
    comment = re.match(r'/\*(.*?)\*/', path.read_text(), re.S)
    return comment and len(re.sub(r'[\s*]+', ' ', comment.group(1))) >= 40


def test_every_module_opens_with_what_it_is_about():
    """In the header, where the contract stands, in the .c file, or in both."""
    silent = [name(path) for path in c_files() if not opens_with_an_essay(path)
              and not (path.suffix == '.c' and path.with_suffix('.h').exists()
                       and opens_with_an_essay(path.with_suffix('.h')))]
    assert not silent


def test_the_map_shows_every_module():
    """OPS-330: each source file stands under its directory in ARCHITECTURE's tree."""
    text = (ROOT / 'doc' / 'ARCHITECTURE.md').read_text()
    tree = text[text.index('## The tree'):text.index('Who may include whom')]
    missing = []
    for path in c_files('src'):
        part = re.search(rf'^src/{path.parent.name}/.*?(?=^\S)', tree, re.M | re.S)
        if path.suffix == '.c' and not path.name.startswith(('test-', 'fuzz-')) and not (
                part and re.search(rf'(?<![\w-]){path.stem}(?![\w-])', part[0])):
            missing.append(name(path))
    assert not missing


def test_no_file_is_two_modules():
    long = [f'{name(path)}: {len(path.read_text().splitlines())} lines' for path in c_files()
            if len(path.read_text().splitlines()) > MOST_LINES]
    assert not long


def test_lines_have_no_tabs_and_end_in_time():
    bad = []
    python = [path for folder in ('test', 'tools', 'bench') for path in (ROOT / folder).glob('*.py')]
    for path in c_files() + python:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            most = MOST_COLUMNS if path.suffix in ('.c', '.h') else MOST_PYTHON_COLUMNS
            if '\t' in line or len(line) > most or line != line.rstrip():
                bad.append(f'{name(path)}:{number}')
    assert not bad


def test_headers_are_self_contained():
    """Each compiles alone, so that includes can stand in any order."""
    if not shutil.which('gcc'):
        pytest.skip('gcc is not installed')
    headers = [path for path in c_files('src', 'include') if path.suffix == '.h']
    flags = subprocess.run(['pkg-config', '--cflags', 'libsystemd', 'libcurl', 'sqlite3', 'libseccomp',
                            'libsodium', 'smartcols', 'inih'],
                           capture_output=True, text=True, check=True).stdout.split()
    text = ''.join(f'gcc -fsyntax-only -std=gnu17 -D_GNU_SOURCE -DLIBEXECDIR=\'""\' -I{SOURCE} '
                   f'-I{ROOT / "include"} {" ".join(flags)} -include {path} -x c /dev/null || exit 1\n'
                   for path in headers)
    result = subprocess.run(['sh', '-c', text], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_clang_format_would_change_nothing():
    if not shutil.which('clang-format'):
        pytest.skip('clang-format is not installed')
    result = subprocess.run(['clang-format', '--dry-run', '--Werror', *map(str, c_files())],
                            capture_output=True, text=True, cwd=ROOT)
    places = [line for line in result.stderr.splitlines() if ': error:' in line]
    assert result.returncode == 0, '\n'.join(places)
