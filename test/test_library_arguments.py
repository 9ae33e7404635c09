"""Every function of the library with NULL in place of each thing that it needs. The functions and their
parameters are read from the header, so that one that comes to it is tried too.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import pathlib
import re

import pytest

from test_library import Failure, as_alice, bits, opened  # noqa: F401

HEADER = pathlib.Path(__file__).resolve().parent.parent / 'include' / 'openbits.h'
INVALID_ARGUMENT = 0x80070057
OBJECTS = ('bits_manager', 'bits_job', 'bits_file', 'bits_token_options', 'bits_http_options')
MAY_BE_NULL = {     # as the header says
    'bits_code_text_localized': {'locale'}, 'bits_context_text': {'locale'},
    'bits_manager_create_jobs': {'ret_ids'}, 'bits_manager_set_callback': {'on_event', 'userdata'},
    'bits_job_cancel': {'ret_code'}, 'bits_job_complete': {'ret_code'}, 'bits_job_wait': {'ret_state'},
    'bits_job_set_reply_file_name': {'name'}, 'bits_job_set_credential_cache': {'name'},
    'bits_token_options_set_helper_credential_cache': {'name'},
    'bits_job_set_proxy_settings': {'list', 'bypass'},
    'bits_job_set_callback': {'on_event', 'userdata'}, 'bits_job_set_receiver': {'receiver', 'userdata'},
    'bits_job_set_notify_cmd_line': {'program', 'parameters'},
    'bits_http_options_set_client_certificate': {'key', 'passphrase'},
    'bits_http_options_set_custom_headers': {'headers'}, 'bits_http_options_set_http_method': {'method'},
    'bits_http_options_set_server_certificate_validation': {'judge', 'userdata'},
}


def prototypes():
    """(result, name, [(type, parameter)]) of every function."""
    text = re.sub(r'/\*.*?\*/', ' ', HEADER.read_text(), flags=re.S)
    for result, name, parameters in re.findall(
            r'^BITS_EXPORT\s+([^;(]*?)\s*\b(bits_\w+)\(((?:[^()]|\(\*\w+\))*)\)', text, re.M):
        found = []
        for parameter in re.split(r',\s*', ' '.join(parameters.split())):
            if parameter != 'void':
                kind, word = re.match(r'(.*?)\(?\*?\(?\*?(\w+)\)?(?:\[\w+\])?$', parameter).groups()
                found.append((parameter[:parameter.rindex(word)].strip(' ('), word))
        yield result, name, found


def is_pointer(kind):
    return '*' in kind or kind.strip() in (
        'bits_manager_callback', 'bits_job_callback', 'bits_job_receiver', 'bits_certificate_judge')


def needed():
    """The pointers that may not be NULL, of functions that have a result."""
    for result, name, parameters in prototypes():
        if result != 'int':
            continue
        for kind, word in parameters:
            if is_pointer(kind) and word not in MAY_BE_NULL.get(name, ()):
                yield pytest.param(name, parameters, word, id=f'{name}-{word}')


def test_the_header_was_understood():
    """LIB-415"""
    names = {name for _, name, _ in prototypes()}
    assert names == set(re.findall(r'^BITS_EXPORT[^;(]*?\b(bits_\w+)\(', HEADER.read_text(), re.M))
    assert len(list(needed())) > 150
    assert set(MAY_BE_NULL) <= names


@pytest.fixture
def objects(world, bits, opened):    # noqa: F811
    """One of each kind."""
    with as_alice(world):
        job = bits.new('manager_create_job', opened, b'arguments', 0)
    bits('job_add_file', job, world.put(10).encode(), f'{world.vault()}/file'.encode())
    made = {'bits_manager': opened, 'bits_job': job, 'bits_file': bits.new('job_get_file', job, 0),
            'bits_token_options': bits.new('job_query_token_options', job),
            'bits_http_options': bits.new('job_query_http_options', job)}
    yield made
    for kind, thing in made.items():
        if kind not in ('bits_manager', 'bits_job'):
            free = getattr(bits.lib, kind + '_free')
            free.restype, free.argtypes = None, [ctypes.c_void_p]
            free(thing)
    bits.lib.bits_job_free(job)


def value(kind, objects):
    """Something for a parameter of that type."""
    kind = kind.replace('const ', '').strip()
    if kind.endswith('**') or kind.endswith('*') and kind.rstrip('* ') not in OBJECTS:
        return ctypes.create_string_buffer(4096)    # a place for a result; "" as text
    if kind.endswith('*'):
        return objects[kind.rstrip('* ')]
    return None if is_pointer(kind) else 1


def test_null_is_refused(bits, objects):    # noqa: F811
    """LIB-04, LIB-415: with E_INVALIDARG and a sentence that says so; nothing else happens."""
    wrong = []
    for parameter in needed():
        name, parameters, missing = parameter.values
        arguments = [None if word == missing else value(kind, objects) for kind, word in parameters]
        try:
            bits(name.removeprefix('bits_'), *arguments)
            wrong.append(f'{name}: {missing} may be NULL')
        except Failure as failure:
            if failure.code != INVALID_ARGUMENT or 'NULL' not in failure.message:
                wrong.append(f'{name}: {missing}: {failure}')
    assert not wrong
    state = ctypes.c_int()
    bits('job_get_state', objects['bits_job'], ctypes.byref(state))
    assert state.value == 3     # suspended, as it was


def test_nothing_is_released_and_read(bits):    # noqa: F811
    """LIB-415: functions without a result of their own take NULL, too."""
    for result, name, parameters in prototypes():
        if result == 'int' or not parameters or not is_pointer(parameters[0][0]):
            continue
        function = getattr(bits.lib, name)
        function.restype = ctypes.c_void_p
        assert not function(*[None if is_pointer(kind) else 0 for kind, _ in parameters]) or result == 'void', name
