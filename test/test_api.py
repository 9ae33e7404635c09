"""The bus interface says the same in data/*.xml, in the running service, and in its man page.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import re
import xml.etree.ElementTree as ElementTree

import pytest

import bus

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = ('Manager', 'Job', 'File', 'TokenOptions', 'HttpOptions')
MAN_PAGES = sorted((ROOT / 'man').glob(f'{bus.NAME}.5*'))


def described(root, interface):
    """{(kind, name): shape} of an interface in an introspection document."""
    found = {}
    for node in root.iter('interface'):
        if node.get('name') != f'{bus.NAME}.{interface}':
            continue
        for method in node.iter('method'):
            arguments = [(a.get('direction', 'in'), a.get('type')) for a in method.iter('arg')]
            found['method', method.get('name')] = sorted(arguments, key=lambda a: a[0])
        for signal in node.iter('signal'):
            found['signal', signal.get('name')] = [a.get('type') for a in signal.iter('arg')]
        for prop in node.iter('property'):
            found['property', prop.get('name')] = (prop.get('type'), prop.get('access'))
    return found


def from_file(interface):
    path = ROOT / 'data' / f'{bus.NAME}.{interface}.xml'
    return described(ElementTree.parse(path).getroot(), interface)


def names():
    for interface in OURS:
        for kind, name in from_file(interface):
            yield pytest.param(kind, name, id=f'{interface}.{name}')


def with_file(world, manager):
    job = manager.create()
    job.add('http://127.0.0.1/x', world.vault() / 'x')
    return job


def path_of(interface, job):
    return job.path + ('/file/0' if interface == 'File' else '')


# OPS-18
@pytest.mark.parametrize('interface', OURS)
def test_service_is_what_the_file_says(world, interface):
    manager = world.manager()
    if interface == 'Manager':
        text = manager.bus.call(bus.ROOT, bus.INTROSPECTABLE, 'Introspect')
    else:
        text = manager.bus.call(path_of(interface, with_file(world, manager)), bus.INTROSPECTABLE, 'Introspect')
    running = described(ElementTree.fromstring(text), interface)
    assert running == from_file(interface)


# OPS-18
@pytest.mark.parametrize('interface', OURS)
def test_handle_serves_the_same(world, interface):
    if interface == 'Manager':
        pytest.skip('a handle is a job\'s')
    manager = world.manager()
    job = with_file(world, manager)
    with bus.Connection.to_handle(job.query_interface(f'{bus.NAME}.{interface}')) as handle:
        text = handle.call(path_of(interface, job), bus.INTROSPECTABLE, 'Introspect')
    running = described(ElementTree.fromstring(text), interface)
    assert running == from_file(interface)


@pytest.fixture(scope='module')
def page():
    assert MAN_PAGES, 'there is no man page of the bus interface'
    text = '\n'.join(path.read_text() for path in MAN_PAGES)
    text = re.sub(r'\\f[BIRP]', ' ', text)     # fonts would join the names to letters
    return text.replace('\\-', '-').replace('\\&', '')


# OPS-19
@pytest.mark.parametrize('kind, name', names())
def test_man_page_describes_it(page, kind, name):
    assert re.search(rf'\b{name}\b', page), f'{kind} {name} is not in the man page'


# OPS-19
def test_man_page_has_every_state(page):
    text = (ROOT / 'src/core/state.c').read_text()
    states = re.findall(r'\[STATE_\w+\] = "([a-z-]+)"', text)
    assert len(states) == 9
    missing = [state for state in states if not re.search(rf'(?<![\w-]){state}(?![\w-])', page)]
    assert not missing


def transitions():
    """{event: {state: what the table in the source says}}, words as the man page has them."""
    text = (ROOT / 'src/core/state.c').read_text()
    short = dict(re.findall(r'\b([A-Z]{2}) = STATE_(\w+),', text))
    order = re.search(r'transitions\[\]\[STATE_MAX\] = \{\s*/\*([A-Z ]+)\*/', text).group(1).split()
    rows = re.findall(r'^ +\[EVENT_(\w+)\] += \{([A-Z, ]+)\},', text, re.M)

    def word(name):
        return short[name].lower().replace('_', '-') if name in short else {'NO': '-'}.get(name, name)
    assert len(order) == 9 and len(rows) > 20
    return {event.lower().replace('_', '-'): dict(zip(map(word, order), map(word, cells.replace(' ', '').split(','))))
            for event, cells in rows}


def tables(page):
    """The rows of the man page's tables, cell by cell."""
    for table in re.findall(r'^\.TS\n(.*?)^\.TE', page, re.M | re.S):
        text = re.sub(r'T\{\n(.*?)\nT\}', r'\1', table, flags=re.S)
        yield [line.split('|') for line in text.splitlines() if '|' in line and not line.startswith('tab(')]


# JOB-220
def test_man_page_says_what_calls_do(page):
    calls = ('resume', 'suspend', 'cancel', 'complete', 'complete-upload')
    table = next(rows for rows in tables(page) if rows[0][1] == 'Resume')
    known = transitions()
    assert len(table) == 10
    for state, *cells in table[1:]:
        assert len(cells) == len(calls)
        for call, cell in zip(calls, cells):
            assert known[call][state] == (state if cell == 'stays' else cell), f'{call} in {state}'


# JOB-220
def test_man_page_says_what_the_service_does(page):
    table = next(rows for rows in tables(page) if rows[0][0] == 'Event')
    of_calls = {'resume', 'resume-empty', 'resume-transferred', 'suspend', 'cancel', 'complete', 'complete-upload',
                'invalidated'}
    known = {event: row for event, row in transitions().items() if event not in of_calls}
    described = {event: {state: to for state in states.split(', ')} for event, states, to in table[1:]}
    assert described == {event: {state: to for state, to in row.items() if to != '-'} for event, row in known.items()}


# OPS-19
def test_man_page_has_no_method_that_does_not_exist(page):
    known = {name for interface in OURS for _, name in from_file(interface)}
    shown = set(re.findall(r'^\.(?:BI?|TP)\s+([A-Z][a-z]+[A-Z]\w+)\(', page, re.M))
    assert shown <= known


def test_library_page_names_every_function():
    """OPS-331: by its name, or as one of the properties that are read and set by their names."""
    page = (ROOT / 'man' / 'openbits.3').read_text()
    pairs = page[page.index('each with the prefixes'):].split('.RE')[0]
    properties = set(re.findall(r'^\.BR? ([a-z_]+)', pairs, re.M))
    header = (ROOT / 'include' / 'openbits.h').read_text()
    missing = [name for name in re.findall(r'^BITS_EXPORT\b[^(]*?\b(bits_\w+)\(', header, re.M)
               if not re.search(rf'\b{name}\b', page) and
               re.sub(r'^bits_job_(get|set)_', '', name) not in properties]
    assert not missing
