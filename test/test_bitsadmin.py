"""bitsadmin: the switches of BITS's old command, and what they print.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re
import signal
import subprocess

import pytest

GUID = r'\{[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\}'


@pytest.fixture
def admin(root_world):
    """Runs `bitsadmin WORDS` as alice unless told otherwise; gives what it printed, without the banner."""
    world = root_world

    def run(*words, status=0, uid=None, banner=True):
        result = world.playground.run(['bitsadmin', *map(str, words)], cwd=world.base,
                                      uid=world.alice if uid is None else uid)
        assert result.returncode == status, (result.stdout, result.stderr)
        assert result.stderr == ''
        if '/rawreturn' in words:
            return result.stdout
        head, _, rest = result.stdout.partition('BITS administration utility.\n\n')
        assert head.startswith('\nBITSADMIN version 3.0')
        return rest
    run.world = world
    return run


def test_create_list_info(admin):
    """CLI-285, CLI-286"""
    guid = re.fullmatch(rf'Created job ({GUID})\.\n', admin('/create', 'job1'))[1]
    assert admin('/list') == f"{guid} 'job1' SUSPENDED 0 / 0 0 / 0\nListed 1 job(s).\n"
    assert re.fullmatch(GUID, admin('/rawreturn', '/CREATE', '/Download', 'job2'))
    assert admin('/info', 'job1') == f"{guid} 'job1' SUSPENDED 0 / 0 0 / 0\n"
    assert admin('/info', guid) == admin('/info', guid.lower()[1:-1])
    url = admin.world.put(10)
    admin('/addfile', 'job1', url, admin.world.vault() / 'file')
    assert admin('/list').splitlines()[0] == f"{guid} 'job1' SUSPENDED 0 / 1 0 / UNKNOWN"
    verbose = admin('/info', 'job1', '/verbose').splitlines()
    assert verbose[0] == f"GUID: {guid} DISPLAY: 'job1'"
    assert verbose[1] == f'TYPE: DOWNLOAD STATE: SUSPENDED OWNER: S-1-22-1-{admin.world.alice}'
    assert verbose[2] == 'PRIORITY: NORMAL FILES: 0 / 1 BYTES: 0 / UNKNOWN'
    assert re.fullmatch('CREATION TIME: .+ MODIFICATION TIME: .+', verbose[3])
    assert verbose[4].startswith('COMPLETION TIME: UNKNOWN')
    assert 'RETRY DELAY: 600 NO PROGRESS TIMEOUT: 1209600 ERROR COUNT: 0' in verbose
    assert any(re.fullmatch(rf'\t0 / UNKNOWN WORKING {url} -> /.+/file', line) for line in verbose)
    assert verbose[-4:] == ['Peercaching flags', '\tEnable download from peers      :false',
                            '\tEnable serving to peers         :false', 'CUSTOM HEADERS: NULL']
    admin('/setpeercachingflags', 'job1', '1')
    admin('/setcustomheaders', 'job1', 'A:b')
    verbose = admin('/info', 'job1', '/verbose').splitlines()
    assert verbose[-3].endswith(':true') and verbose[-1] == 'CUSTOM HEADERS: A:b'
    assert admin('/list', '/verbose').count('GUID: ') == 2


def test_names(admin):
    """CLI-284: unique names and GUIDs; what is not there or not one is said."""
    admin('/create', 'twice')
    admin('/create', 'twice')
    assert 'There are 2 jobs named "twice"' in admin('/info', 'twice', status=1)
    assert 'Unable to find job named "nobody"' in admin('/info', 'nobody', status=1)
    assert 'Unable to find job - 0x80200001' in admin('/info', '{00000000-0000-4000-8000-000000000000}', status=1)
    assert 'Invalid command' in admin('/dance', status=1)
    assert 'peer cache' in admin('/cache', '/list', status=1)
    assert 'Invalid argument' in admin('/info', status=1)
    assert 'Invalid argument' in admin('/list', '/sorted', status=1)
    everybody = admin('/list', '/allusers', status=1)
    assert 'Unable to enumerate jobs - 0x80070005' in everybody
    assert admin('/list', '/allusers', uid=0).endswith('Listed 2 job(s).\n')


def test_get_and_set(admin):
    """CLI-288, CLI-289"""
    admin('/create', 'j')

    def get(name, *more):
        value = admin('/rawreturn', f'/get{name}', 'j', *more)
        assert admin(f'/get{name}', 'j', *more) == value + '\n'
        return value
    assert (get('type'), get('state'), get('priority')) == ('DOWNLOAD', 'SUSPENDED', 'NORMAL')
    assert (get('bytestotal'), get('bytestransferred')) == ('0', '0')
    assert (get('filestotal'), get('filestransferred'), get('errorcount')) == ('0', '0', '0')
    assert get('completiontime') == 'UNKNOWN' and get('creationtime') != 'UNKNOWN'
    for name, key, values in (
            ('displayname', 'displayname', ['k', 'j']), ('description', 'description', ['a b']),
            ('priority', 'priority', ['FOREGROUND', 'HIGH', 'LOW']),
            ('minretrydelay', 'minretrydelay', ['30']), ('noprogresstimeout', 'noprogresstimeout', ['0']),
            ('notifyflags', 'notifyflags', ['4'])):
        for value in values:
            if name == 'displayname':
                admin('/setdisplayname', 'j' if value == 'k' else 'k', value)
                continue
            admin(f'/set{key}', 'j', value)
            assert get(name) == value
    admin('/setproxysettings', 'j', 'OVERRIDE', 'a:1,b:2', '"c"')
    assert (get('proxyusage'), get('proxylist'), get('proxybypasslist')) == ('OVERRIDE', 'a:1 b:2', '"c"')
    admin('/setproxysettings', 'j', 'no_proxy')
    assert (get('proxyusage'), get('proxylist')) == ('NO_PROXY', 'NULL')
    admin('/setproxysettings', 'j', 'AUTODETECT')      # NET-440
    assert (get('proxyusage'), get('proxylist'), get('proxybypasslist')) == ('AUTODETECT', 'NULL', 'NULL')
    assert get('owner') == f'S-1-22-1-{admin.world.alice}'
    assert get('notifyinterface') == 'not registered'
    admin('/setcredentials', 'j', 'SERVER', 'BASIC', 'user', 'password')
    admin('/removecredentials', 'j', 'server', 'basic')
    admin('/setnotifycmdline', 'j', '/bin/true', 'true a b')
    assert get('notifycmdline') == "'/bin/true' 'true a b'"
    admin('/setnotifycmdline', 'j', 'NULL', 'NULL')
    admin('/setaclflag', 'j', 'OG')
    assert get('aclflags') == 'og'
    admin('/setsecurityflags', 'j', '0x102')
    assert get('securityflags') == '0x102'
    admin('/setcustomheaders', 'j', 'A:b', 'C: d')
    assert get('customheaders').splitlines() == ['A:b', 'C: d']
    admin('/makecustomheaderswriteonly', 'j')
    assert 'Unable to get custom headers - 0x80070005' in admin('/getcustomheaders', 'j', status=1)
    assert 'bits certificate' in admin('/setclientcertificatebyid', 'j', '1', 'MY', '00', status=1)
    assert 'Unable to get error - 0x8020000f' in admin('/geterror', 'j', status=1)
    for wrong in (['/setpriority', 'j', 'urgent'], ['/setminretrydelay', 'j', 'soon'],
                  ['/setnotifyflags', 'j'], ['/setproxysettings', 'j', 'SOMETIMES'],
                  ['/setcredentials', 'j', 'SERVER', 'SECRET', 'u', 'p']):
        assert 'Invalid argument' in admin(*wrong, status=1)
    assert 'Unable to set notify flags - 0x80004001' in admin('/setnotifyflags', 'j', '64', status=1)


def test_other_properties(admin):
    """CLI-331: download time, method, peer caching, replies, prefixes, ranges, validation."""
    world, vault = admin.world, admin.world.vault()
    url = world.put(1000)
    admin('/create', 'j')

    def get(name, *more):
        return admin('/rawreturn', f'/get{name}', 'j', *more)
    assert (get('maxdownloadtime'), get('peercachingflags'), get('httpmethod')) == ('7776000', '0', 'GET')
    for name, value in (('maxdownloadtime', '77'), ('peercachingflags', '3'), ('httpmethod', 'POST')):
        admin(f'/set{name}', 'j', value)
        assert get(name) == value
    admin('/sethttpmethod', 'j', 'NULL')
    for wrong in ('10', '10:', ':5', '0:5,', '0:5,x', '0:eofx', '-1:4', '0:99999999999999999999', ''):
        assert 'no list' in admin('/addfilewithranges', 'j', url, vault / 'file', wrong, status=1), wrong
    assert 'Unable to add file to job - 0x8020002c' in \
        admin('/addfilewithranges', 'j', url, vault / 'file', '0:5,4:2', status=1)
    assert admin('/listfiles', 'j') == ''
    admin('/addfilewithranges', 'j', url, vault / 'file', '990:EOF,0:10')
    assert 'No remote name' in admin('/replaceremoteprefix', 'j', 'x', 'y')
    admin('/replaceremoteprefix', 'j', url, url + '?again')
    assert f'{url}?again -> ' in admin('/listfiles', 'j')
    admin('/replaceremoteprefix', 'j', url + '?again', url)
    assert get('temporaryname', 0).startswith(f'{vault}/')
    assert 'Unable to get file - 0x' in admin('/getvalidationstate', 'j', 1, status=1)
    assert 'Unable to set validation state - 0x8000000a' in \
        admin('/setvalidationstate', 'j', 0, 'TRUE', status=1)
    admin('/resume', 'j')
    world.playground.run(['bits', 'wait', 'j'], uid=world.alice, check=True)
    assert get('validationstate', 0) == 'FALSE'
    admin('/setvalidationstate', 'j', 0, 'true')
    assert get('validationstate', 0) == 'TRUE'
    admin('/complete', 'j')
    assert (vault / 'file').read_bytes() == world.bytes(url)[990:] + world.bytes(url)[:10]
    for wrong in (['/setvalidationstate', 'k', '0'], ['/setvalidationstate', 'k', '0', 'MAYBE'],
                  ['/gettemporaryname', 'k'], ['/getvalidationstate', 'k', 'x'], ['/getstate', 'k', 'x']):
        admin('/create', 'k')
        assert 'Invalid argument' in admin(*wrong, status=1)
        admin('/cancel', 'k')


def test_replies(admin):
    """CLI-331: of upload-reply jobs; refused of others."""
    admin('/create', '/upload-reply', 'r')
    reply = admin.world.vault() / 'reply'
    assert admin('/rawreturn', '/getreplyfilename', 'r') == 'NULL'
    admin('/setreplyfilename', 'r', reply)
    assert admin('/rawreturn', '/getreplyfilename', 'r') == str(reply)
    assert admin('/getreplyprogress', 'r') == '0 / UNKNOWN\n'
    assert 'Unable to get reply data - 0x80200002' in admin('/getreplydata', 'r', status=1)
    admin('/create', 'd')
    for switch in (['/getreplyfilename', 'd'], ['/getreplyprogress', 'd'], ['/getreplydata', 'd'],
                   ['/setreplyfilename', 'd', reply]):
        assert ' - 0x80004001' in admin(*switch, status=1)


def test_helper_token(admin):
    """CLI-289: the caller's identity, or for root a named one."""
    admin('/create', 'j')
    assert admin('/rawreturn', '/gethelpertokensid', 'j') == 'NULL'
    admin('/sethelpertoken', 'j')
    assert admin('/rawreturn', '/gethelpertokensid', 'j') == f'S-1-22-1-{admin.world.alice}'
    admin('/sethelpertoken', 'j', 'daemon', uid=0)
    assert admin('/rawreturn', '/gethelpertokensid', 'j') == 'S-1-22-1-1'
    admin('/sethelpertokenflags', 'j', '0x2')
    assert admin('/rawreturn', '/gethelpertokenflags', 'j') == '0x2'


def test_life_of_a_job(admin):
    """CLI-284: files one by one and from a list; every step says what it did."""
    world, vault = admin.world, admin.world.vault()
    one, two = world.put(1000), world.put(2000)
    admin('/create', 'j')
    assert admin('/addfile', 'j', one, vault / 'one') == f'Added {one} -> {vault}/one to job.\n'
    pairs = world.base / 'pairs'
    pairs.write_text(f'# a comment\n\n{two}\t{vault}/two\n')
    admin('/addfileset', 'j', pairs)
    pairs.write_text('lonely\n')
    assert 'Line 1' in admin('/addfileset', 'j', pairs, status=1)
    assert 'Unable to read /etc - Is a directory' in admin('/addfileset', 'j', '/etc', status=1)
    assert admin('/listfiles', 'j').count(' WORKING ') == 2
    assert 'Unable to add file to job - 0x80070057' in admin('/addfile', 'j', 'x:/', vault / 'x', status=1)
    assert admin('/resume', 'j') == 'Job resumed.\n'
    world.playground.run(['bits', 'wait', 'j'], uid=world.alice, check=True)
    assert admin('/rawreturn', '/getstate', 'j') == 'TRANSFERRED'
    assert admin('/complete', 'j') == 'Job completed.\n'
    assert (vault / 'two').read_bytes() == world.bytes(two)
    admin('/create', 'k')
    assert admin('/suspend', 'k') == 'Job suspended.\n'
    assert admin('/cancel', 'k') == 'Job canceled.\n'


def test_reset(admin):
    """CLI-284"""
    guid = admin('/rawreturn', '/create', 'a')
    assert admin('/reset') == f'{guid} canceled.\n1 out of 1 jobs canceled.\n'
    assert admin('/list') == 'Listed 0 job(s).\n'


def test_transfer(admin):
    """CLI-287"""
    world, vault = admin.world, admin.world.vault()
    url = world.put(3000)
    output = admin('/transfer', 'mine', '/priority', 'FOREGROUND', url, vault / 'file')
    assert output.endswith('Transfer complete.\n')
    assert "DISPLAY: 'mine' TYPE: DOWNLOAD STATE: TRANSFERRED" in output
    assert 'PRIORITY: FOREGROUND FILES: 1 / 1 BYTES: 3000 / 3000 (100%)' in output
    assert (vault / 'file').read_bytes() == world.bytes(url)
    changing = world.put(100)
    admin('/transfer', 'mine', '/Dynamic', '/aclflags', 'O', changing, vault / 'changing')
    assert (vault / 'changing').read_bytes() == world.bytes(changing)
    admin('/transfer', 'mine', '/upload', '/dynamic', 'http://localhost/', vault / 'file', status=1)
    failed = admin('/transfer', 'mine', url + 'x', vault / 'none', status=1)
    assert re.search(r'\nUnable to complete transfer\.\nERROR CODE:    0x80190194 - .+\n'
                     r'ERROR CONTEXT: 0x00000005 - .+\n$', failed)     # CLI-421
    assert admin('/list') == 'Listed 0 job(s).\n'
    assert 'Invalid argument' in admin('/transfer', 'mine', '/download', url, status=1)


def test_words_of_others(admin):
    """CLI-420, CLI-421: a terminal obeys nobody's names, and no password is shown on it."""
    name = 'evil\x1b[2J\nname'
    admin('/create', name)
    url = admin.world.put(0, status=404).replace('//', '//user:secret@')
    added = admin('/addfile', name, url, admin.world.vault() / 'file')
    shown = url.replace('secret', '***')
    assert added.startswith(f'Added {shown} -> ')
    admin('/setproxysettings', name, 'OVERRIDE', 'proxy', '127.0.0.1 a\x1b[2J')
    admin('/resume', name)
    admin.world.playground.run(['bits', 'wait', name], uid=admin.world.alice)
    for words in (['/list'], ['/list', '/verbose'], ['/info', name, '/verbose'], ['/listfiles', name],
                  ['/getdisplayname', name], ['/getproxybypasslist', name], ['/geterror', name]):
        output = admin(*words)
        assert '\x1b' not in output and 'secret' not in output
    assert re.fullmatch(rf'ERROR FILE:    {re.escape(shown)} -> .+/file\nERROR CODE:    0x80190194 - .+\n'
                        r'ERROR CONTEXT: 0x00000005 - while working on the remote file\n', output)
    assert admin('/rawreturn', '/getdisplayname', name) == name


def test_monitor(admin):
    """CLI-285: until Ctrl-C."""
    world = admin.world
    admin('/create', 'seen')
    process = world.playground.popen(['bitsadmin', '/rawreturn', '/monitor', '/refresh', '1'],
                                     uid=world.alice, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'MONITORING BACKGROUND COPY MANAGER(1 second refresh)\n'
    assert "'seen' SUSPENDED" in process.stdout.readline()
    assert process.stdout.readline().startswith('MONITORING')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_help(admin):
    """CLI-284"""
    text = admin('/help')
    for switch in ('/list', '/getstate job', '/setpriority job', '/transfer name'):
        assert switch in text
    assert admin() == text
    assert re.fullmatch(r'\d+\.\d+\.\d+\n', admin('/util', '/version'))
