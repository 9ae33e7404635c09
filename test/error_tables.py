"""doc/errors.md as data: what a job's error can be.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import pathlib
import re

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / 'doc' / 'errors.md'
SERVER, APPLICATION, JUDGE = 5, 7, 8        # contexts

Row = collections.namedtuple('Row', 'contexts again')


def _rows(title):
    """The cells of each row below that headline."""
    text = DOCUMENT.read_text().split(f'\n# {title}\n', 1)[1].split('\n# ', 1)[0]
    lines = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in text.splitlines() if line.startswith('| 0x')]
    assert lines, title
    return lines


def _codes(cell):
    first, *last = [int(number, 16) for number in re.findall(r'0x([0-9A-F]{8})', cell)]
    return range(first, (last or [first])[0] + 1)


JOBS, ANSWERS, NEVER, NAMES = {}, [], [], {}
for _code, _name, _contexts, _again, *_ in _rows('Errors of jobs'):
    JOBS[int(_code, 16)] = Row({int(number) for number in _contexts.split(',')}, {'yes': True, 'no': False}[_again])
for _table, _title in (ANSWERS, 'Answers of calls'), (NEVER, 'Codes that never occur'):
    for _cells in _rows(_title):
        _table += _codes(_cells[0])
for _title in 'Errors of jobs', 'Answers of calls', 'Codes that never occur':
    NAMES.update({int(cells[0], 16): cells[1] for cells in _rows(_title) if cells[1]})


def status_row(code):
    """Of an HTTP status, else None."""
    status = code - 0x80190000
    if not 100 <= status <= 599:
        return None
    again = status in (408, 409, 429) or status >= 500 and status not in (501, 505)
    return Row({SERVER, APPLICATION}, again)


def complaint(fault):
    """What is wrong with an error that was read from a job, or None."""
    row = JOBS.get(fault.code) or status_row(fault.code)
    if fault.context == JUDGE:
        return None
    if not row:
        return f'doc/errors.md does not know 0x{fault.code:08X} as the error of a job'
    if fault.context not in row.contexts:
        return f'context {fault.context} of 0x{fault.code:08X}: doc/errors.md has {row.contexts}'
    return None
