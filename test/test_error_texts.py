"""The codes of BITS: numbers and names against a list of its own, texts in four languages, where
each code is answered, and what people see of an error.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import json
import pathlib
import re
import time

import pytest

import bus
import conftest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODES = [(int(number, 16), name, kind) for number, name, kind in
         (line.split() for line in (ROOT / 'test' / 'codes.txt').read_text().splitlines()
          if not line.startswith('#'))]
NO_ERROR = 0x8020000F
LANGUAGES = {'de': 'Der Auftrag hat keinen Fehler.', 'fr': "La tâche n'a pas d'erreur.",
             'it': 'Il processo non ha errori.', 'en': 'The job has no error.'}


@pytest.fixture(scope='module')
def library():
    lib = conftest.load_library()
    for name in ('bits_code_name', 'bits_code_text', 'bits_code_text_localized', 'bits_context_text'):
        getattr(lib, name).restype = ctypes.c_char_p
    return lib


# JOB-08, JOB-263
def test_every_code_is_known_by_number_name_and_text(library):
    assert len(CODES) > 180
    wrong = [f'{number:08X} is {library.bits_code_name(ctypes.c_uint32(number))}, not {name}'
             for number, name, _ in CODES
             if library.bits_code_name(ctypes.c_uint32(number)) != name.encode()]
    assert not wrong
    assert all(library.bits_code_text(ctypes.c_uint32(number)) for number, _, _ in CODES)


# JOB-06, JOB-263
def test_transient_and_fatal_are_as_documented():
    """Said by the table itself: its third word."""
    text = (ROOT / 'src' / 'core' / 'error-table.c').read_text()
    table = {int(number, 16): kind for number, kind in
             re.findall(r'\{ 0x([0-9A-F]{8})u, ([AFT]),', text)}
    table.update({0x80190000 + int(status): kind
                  for status, kind in re.findall(r'HTTP\((\d+), ([AFT]),', text)})
    wrong = [f'{number:08X} {name}: {table.get(number)}, not {kind}' for number, name, kind in CODES
             if table.get(number) != kind and kind in 'TF'
             or table.get(number) is None]
    assert not wrong


# JOB-263
def test_no_code_is_answered_by_its_bare_number():
    """So that the list above is whole. (The command may not know it; cost.h has other numbers; one more is
    what some servers say for their own full disk.)"""
    allowed = {'error.h', 'error.c', 'error-table.c', 'error-state.h', 'cost.h'}
    said_by_servers = {'0x80070112u'}
    found = [f'{path.relative_to(ROOT)}: {number}' for path in (ROOT / 'src').rglob('*.[ch]')
             if path.name not in allowed and not path.name.startswith(('test-', 'fuzz-'))
             and path.parent.name != 'cli'
             for number in re.findall(r'\b0x80(?:20|07|19|00)[0-9A-Fa-f]{4}u?\b', path.read_text())
             if number not in said_by_servers]
    assert found == []


# ---- languages ----

def describe(world, code, locale):
    return world.manager().call('GetErrorDescription', 'us', code, locale)


# JOB-261
@pytest.mark.parametrize('locale, language', [
    ('', 'en'), ('C', 'en'), ('POSIX', 'en'), ('C.UTF-8', 'en'), ('en_US.UTF-8', 'en'), ('de', 'de'),
    ('de_DE.UTF-8', 'de'), ('de-AT', 'de'), ('fr_CA', 'fr'), ('fr_BE@euro', 'fr'), ('it_CH.utf8', 'it')])
def test_service_describes_in_the_language_that_is_asked_for(world, locale, language):
    assert describe(world, NO_ERROR, locale) == LANGUAGES[language]


# JOB-261
@pytest.mark.parametrize('locale', ['xx', 'nl_NL.UTF-8', 'german', '../de', 'de/..', '%s%n', 'd' * 10000])
def test_language_without_texts_is_refused(world, locale):
    for code in (NO_ERROR, 0x8020FFFF):
        with pytest.raises(bus.BusError) as caught:
            describe(world, code, locale)
        assert caught.value.short == 'LanguageNotFound'


# JOB-261
def test_unknown_code_is_refused_in_every_language(world):
    for locale in ('', 'de', 'fr_FR', 'it'):
        with pytest.raises(bus.BusError) as caught:
            describe(world, 0x8020FFFF, locale)
        assert caught.value.short == 'InvalidArgument'


# JOB-261
def test_contexts_are_described_like_codes(world):
    assert 'lokalen Datei' in describe(world, 0x80200009, 'de')
    assert 'fichier distant' in describe(world, 0x8020000A, 'fr')


# LIB-261
@pytest.mark.parametrize('environment, language', [
    ({}, 'en'), ({'LANG': 'de_DE.UTF-8'}, 'de'), ({'LANG': 'nl_NL.UTF-8'}, 'en'), ({'LANG': 'C'}, 'en'),
    ({'LANG': 'de_DE', 'LC_MESSAGES': 'fr_FR'}, 'fr'), ({'LANG': 'de_DE', 'LC_ALL': 'it_IT'}, 'it'),
    ({'LANG': 'de_DE', 'LC_ALL': ''}, 'de'), ({'LANG': 'nl_NL', 'LANGUAGE': 'nl:fr:de'}, 'fr'),
    ({'LANG': 'de_DE', 'LANGUAGE': 'en'}, 'en'), ({'LANG': 'C.UTF-8', 'LANGUAGE': 'de'}, 'en'),
    ({'LANG': 'it_IT', 'LANGUAGE': '::' + 'x' * 1000 + ':'}, 'it')])
def test_library_speaks_the_language_of_the_environment(library, monkeypatch, environment, language):
    for name in ('LANGUAGE', 'LC_ALL', 'LC_MESSAGES', 'LANG'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code = ctypes.c_uint32(NO_ERROR)
    assert library.bits_code_text_localized(code, None).decode() == LANGUAGES[language]
    assert library.bits_code_text(code).decode() == LANGUAGES['en']


# LIB-261
def test_library_knows_locales_by_name(library):
    code = ctypes.c_uint32(NO_ERROR)
    for locale, text in LANGUAGES.items():
        assert library.bits_code_text_localized(code, locale.encode()).decode() == text
    assert library.bits_code_text_localized(code, b'nl') is None
    assert library.bits_code_text_localized(ctypes.c_uint32(0x8020FFFF), b'de') is None
    assert 'lokalen' in library.bits_context_text(ctypes.c_uint32(4), b'de').decode()
    assert library.bits_context_text(ctypes.c_uint32(99), b'de') is None
    unreachable = ctypes.c_uint32(0x800706BA)
    assert library.bits_code_text_localized(unreachable, b'fr').decode() == "Le service OpenBITS n'est pas joignable."


# ---- what people see ----

def failed_job(world, status=404):
    url = world.put(0, status=status)
    job = world.start(url, world.vault() / 'a')
    job.wait('error', 'transient-error')
    return job, url


def bits(world, *arguments, **environment):
    result = world.playground.run(['bits', *arguments], uid=world.alice if world.root else None, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


# CLI-260, JOB-262
def test_show_tells_code_sentence_file_and_since_when(world):
    before = time.time()
    job, url = failed_job(world)
    shown = bits(world, 'show', job.id, LANG='de_DE.UTF-8', TZ='UTC')
    assert re.search(r'^error +BG_E_HTTP_ERROR_404 \(0x80190194\)', shown, re.M), shown
    assert 'Die Datei gibt es auf dem Server nicht (404). Prüfen Sie die URL.' in shown
    assert url in shown and job.files()[0].local_name in shown
    since = re.search(r'^error since +(\d{4}-\d\d-\d\d)', shown, re.M)
    assert since and since[1] in (time.strftime('%Y-%m-%d', time.gmtime(t)) for t in (before, time.time()))
    english = bits(world, 'show', job.id, LANG='C.UTF-8')
    assert 'The file does not exist on the server (404). Check the URL.' in english
    error = json.loads(bits(world, 'show', job.id, '--json', LANG='de_DE.UTF-8'))['jobs'][0]['error']
    assert error['code'] == '0x80190194' and 'Datei' not in error['text']
    assert before * 1e6 <= error['since'] <= time.time() * 1e6


# CLI-260
def test_show_tells_when_the_next_try_comes(world):
    job, _ = failed_job(world, status=503)
    shown = bits(world, 'show', job.id, LANG='it_IT')
    assert 'Il server al momento non è disponibile (503).' in shown
    assert re.search(r'^waits +.*again in \d+ s', shown, re.M), shown


# JOB-262
def test_error_says_since_when_over_restarts(world):
    job, _ = failed_job(world)
    since = job.get('ErrorTime')
    assert abs(since / 1e6 - time.time()) < 60
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.get('ErrorTime') == since
    job.suspend()
    assert job.get('ErrorTime') == 0
