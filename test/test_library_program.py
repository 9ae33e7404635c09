"""The library as a C program uses it: every function, and bad days. With the sanitizers the program finds reads
of freed memory and leaks in the library, which Python cannot load then.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import re
import shutil

import playground_lib

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = playground_lib.default_build() + '/test/library-program'


def header():
    return (HERE.parent / 'include' / 'openbits.h').read_text()


def functions():
    """The names of the header's functions."""
    return set(re.findall(r'^BITS_EXPORT[^;(]*?\b(bits_\w+)\(', header(), re.M))


def test_codes_are_those_of_the_bus():
    """LIB-414: the constants of the header, by the names that the bus has for them."""
    text = (HERE.parent / 'include' / 'openbits-codes.h').read_text()
    constants = {name.replace('_', ''): int(number, 16)
                 for name, number in re.findall(r'^#define BITS_CODE_(\w+) +(0x[0-9A-F]{8})u$', text, re.M)}
    table = re.sub(r'"\s*\n\s*"', '', (HERE.parent / 'src' / 'core' / 'error-table.c').read_text())
    codes = {name.upper(): int(number, 16) for number, name in re.findall(
        r'\{ (0x[0-9A-Fa-f]{8})u, [AFT],\s*"\w+",\s*"(?!ErrorContext|Event|Reserved|Qm)(\w+)",', table)}
    assert constants.pop('UNREACHABLE') == 0x800706ba and constants.pop('NOREPLY') == 0x8007071a
    assert constants == codes


def run(world, *arguments, **options):
    shutil.copy(PROGRAM, f'{world.playground.runtime}/bin')     # where other users may start it
    environment = {'OPENBITS_TEST_MODE': 'system' if world.root else 'user',
                   'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1'}
    return world.playground.run(['library-program', *map(str, arguments)], world.alice if world.root else None,
                                env=environment, **options)


def test_every_function_works(world):
    """LIB-412: with what it needs, and nothing is left behind."""
    vault = world.vault()
    result = run(world, 'everything', world.put(1000), vault)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path.name for path in vault.iterdir()} == {'one', 'two', 'three'}
    assert world.manager().list() == []


def test_the_program_uses_every_function():
    """LIB-412: a function that comes to the header comes to the program."""
    text = ''.join(path.read_text() for path in (HERE / 'library').iterdir())
    used = set(re.findall(r'\b(bits_\w+)\(', text)) | {
        f'bits_job_{verb}_{name}' for name in re.findall(r'\bNUMBER\(job, (\w+),', text) for verb in ('get', 'set')}
    assert functions() - used == set()


def test_bad_days(world):
    """LIB-410, LIB-411: the object that is waited for is freed, the manager is closed in a callback, everything is
    taken along over a fork."""
    result = run(world, 'bad-days', world.put(1000), world.vault())
    assert result.returncode == 0, result.stdout + result.stderr


def test_objects_without_end(world):
    """LIB-413: the service says when there are too many, as itself, and goes on."""
    result = run(world, 'many', 10000)
    assert result.returncode == 0, result.stdout + result.stderr
    count, code, words = result.stdout.split(maxsplit=2)
    assert 200 < int(count) < 257 and code == '0x80070004' and 'handles' in words
    assert world.manager().list() == []
