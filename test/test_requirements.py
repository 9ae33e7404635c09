"""doc/requirements.md, the code and the tests bear the same numbers.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NUMBER = re.compile(
    r'\b(?:TOK|HND|JOB|NET|FIL|DUR|SEC|CLI|LIB|ENG|BUS|LIM|OPS|BEN|RNG|NTF|POL|UPL)-\d{2,3}\b(?!-\d)')
RANGE = re.compile(r'\b([A-Z]{3})-(\d{2,3})(?: ?[…–]|\.\.) ?(?:\1-)?(\d{2,3})\b')
DOCUMENT = ROOT / 'doc' / 'requirements.md'
# What these promise is made by more than the programs: a Makefile, a unit file, a measurement.
WITHOUT_CODE = ('OPS', 'BEN')
WITHOUT_TEST = ('BEN', 'OPS-02', 'OPS-03')     # the run of all tests is itself what shows these


def numbers_in(text):
    found = set(NUMBER.findall(text))
    for prefix, first, last in RANGE.findall(text):
        found.update(f'{prefix}-{n:02}' for n in range(int(first), int(last) + 1))
    return found


def is_test(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0] == 'test' or path.name.startswith(('test-', 'fuzz-'))


def sources():
    folders = ('src', 'include', 'data', 'completion', 'tools', 'bench', 'examples', 'test', '.ci')
    files = [path for folder in folders for path in (ROOT / folder).rglob('*')]
    for path in files + [ROOT / 'Makefile']:
        if path.is_file() and '__pycache__' not in path.parts:
            yield path


def used(tests):
    """{number: a file that bears it}"""
    found = {}
    for path in sources():
        if is_test(path) == tests:
            for number in numbers_in(path.read_text(errors='replace')):
                found.setdefault(number, str(path.relative_to(ROOT)))
    return found


@pytest.fixture(scope='module')
def promised():
    """{number: promise}"""
    rows = re.findall(r'^\|\s*([A-Z]{3}-\d{2,3})\s*\|([^|]*)\|', DOCUMENT.read_text(), re.M)
    assert rows, 'the document has no table of promises'
    return {number: promise.strip() for number, promise in rows}


def test_no_number_is_promised_twice():
    rows = re.findall(r'^\|\s*([A-Z]{3}-\d{2,3})\s*\|', DOCUMENT.read_text(), re.M)
    assert sorted(rows) == sorted(set(rows))


def test_every_promise_has_code(promised):
    code = used(tests=False)
    missing = sorted(f'{number}: {promise}' for number, promise in promised.items()
                     if number not in code and not number.startswith(WITHOUT_CODE))
    assert not missing


def test_every_promise_has_a_test(promised):
    tests = used(tests=True)
    missing = sorted(f'{number}: {promise}' for number, promise in promised.items()
                     if number not in tests and not number.startswith(WITHOUT_TEST))
    assert not missing


def test_every_number_is_promised(promised):
    strange = sorted(f'{number} in {path}' for tests in (False, True)
                     for number, path in used(tests).items() if number not in promised)
    assert not strange
