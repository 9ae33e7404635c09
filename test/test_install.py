"""`meson install` puts everything into its place, and what other programs read is right for them.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('OPENBITS_BUILD', ROOT / 'build'))
NAME = 'org.openbits.BITS1'

PLACES = f"""
usr/bin/bits
usr/libexec/openbits/bitsd
usr/libexec/openbits/bits-broker
usr/libexec/openbits/bits-file
usr/libexec/openbits/bits-net
usr/libexec/openbits/bits-pac
usr/include/openbits.h
usr/include/openbits-codes.h
usr/lib/systemd/system/bitsd.service
usr/lib/systemd/system/bits-broker.service
usr/lib/systemd/system/bits-broker.socket
usr/lib/systemd/system/bits-broker-manager.socket
usr/lib/systemd/user/bitsd.service
usr/lib/systemd/user/bits-broker.service
usr/lib/sysusers.d/openbits.conf
usr/lib/tmpfiles.d/openbits.conf
usr/share/dbus-1/system-services/{NAME}.service
usr/share/dbus-1/services/{NAME}.service
usr/share/dbus-1/system.d/{NAME}.conf
usr/share/dbus-1/interfaces/{NAME}.Manager.xml
usr/share/dbus-1/interfaces/{NAME}.Job.xml
usr/share/dbus-1/interfaces/{NAME}.HttpOptions.xml
usr/share/dbus-1/interfaces/{NAME}.TokenOptions.xml
usr/share/polkit-1/actions/org.openbits.policy
usr/share/bash-completion/completions/bits
usr/share/bash-completion/completions/bitsadmin
usr/share/man/man1/bits.1
usr/share/man/man5/{NAME}.5
usr/share/man/man8/bitsd.8
usr/share/man/man8/bits-broker.8
""".split()
PATTERNS = ['usr/share/zsh/*/_bits', 'usr/lib/**/libopenbits.so.*', 'usr/lib/**/pkgconfig/openbits.pc']


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    destination = tmp_path_factory.mktemp('install')
    result = subprocess.run(['meson', 'install', '-C', str(BUILD), '--no-rebuild', '--quiet'],
                            env={**os.environ, 'DESTDIR': str(destination)}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return destination


def units(tree):
    return sorted((tree / 'usr/lib/systemd').rglob('*.s*'))


# OPS-10
def test_everything_is_in_its_place(tree):
    missing = [place for place in PLACES if not (tree / place).exists()
               and not (tree / (place + '.gz')).exists()]
    missing += [pattern for pattern in PATTERNS if not list(tree.glob(pattern))]
    assert not missing


# OPS-10
def test_nothing_is_installed_where_another_package_lives(tree):
    assert not (tree / 'usr/include/bits').exists()
    assert {path.name for path in tree.iterdir()} <= {'usr', 'etc'}
    assert not [path for path in tree.rglob('*') if path.name.startswith(('test-', 'fuzz-'))]


# OPS-11
def test_placeholders_are_filled_and_programs_exist(tree):
    for path in units(tree) + list((tree / 'usr/share/dbus-1').rglob('*.service')):
        text = path.read_text()
        assert not re.search(r'@\w+@', text), path
        for program in re.findall(r'^Exec\w*=(/\S+)', text, re.M):
            assert program == '/bin/false' or (tree / program[1:]).exists(), f'{path}: {program}'


# OPS-11
@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='systemd-analyze is not installed')
@pytest.mark.parametrize('manager', ['system', 'user'])
def test_systemd_understands_the_units(tree, manager):
    folder = tree / 'usr/lib/systemd' / manager
    for unit in sorted(folder.iterdir()):
        text = re.sub(r'^(Exec\w+=)/', rf'\1{tree}/', unit.read_text(), flags=re.M)
        unit.write_text(text)
    result = subprocess.run(
        ['systemd-analyze', f'--{manager}', '--man=no', 'verify', *map(str, folder.iterdir())],
        capture_output=True, text=True,
        env={**os.environ, 'SYSTEMD_UNIT_PATH': f'{folder}:', 'XDG_RUNTIME_DIR': str(tree)})
    ours = [line for line in result.stderr.splitlines() if 'bits' in line]
    assert not ours


# OPS-12, SEC: the manager's unit leaves it nothing
def test_units_give_the_privileges_of_the_process_table(tree):
    folder = tree / 'usr/lib/systemd/system'
    manager = (folder / 'bitsd.service').read_text().splitlines()
    for line in ('User=bitsd', 'CapabilityBoundingSet=', 'NoNewPrivileges=yes', 'Type=notify',
                 'RestrictAddressFamilies=AF_UNIX', 'ProtectSystem=strict',
                 'StateDirectory=openbits'):
        assert line in manager
    broker = (folder / 'bits-broker.service').read_text().splitlines()
    assert 'CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL' in broker
    assert 'NoNewPrivileges=yes' in broker
    assert not [line for line in broker if line.startswith('User=')]
    for name, mode in (('bits-broker.socket', '0666'), ('bits-broker-manager.socket', '0600')):
        assert f'SocketMode={mode}' in (folder / name).read_text()


# OPS-13
def test_bus_policy_lets_only_the_manager_own_the_name(tree):
    policy = ElementTree.parse(tree / f'usr/share/dbus-1/system.d/{NAME}.conf').getroot()
    owners = [entry.get('user') for entry in policy.iter('policy')
              for rule in entry.iter('allow') if rule.get('own') == NAME]
    assert owners == ['bitsd']
    # Every interface that the service has can be called.
    callable_ = {rule.get('send_interface') for rule in policy.iter('allow')}
    for path in (tree / 'usr/share/dbus-1/interfaces').glob(f'{NAME}*.xml'):
        assert {entry.get('name') for entry in ElementTree.parse(path).iter('interface')} <= callable_


# OPS-13
def test_polkit_action_asks_for_an_administrator(tree):
    root = ElementTree.parse(tree / 'usr/share/polkit-1/actions/org.openbits.policy').getroot()
    [action] = root.iter('action')
    assert action.get('id') == 'org.openbits.manage-all-jobs'
    assert {entry.text for entry in action.find('defaults')} == {'auth_admin', 'auth_admin_keep'}


# OPS-13
@pytest.mark.skipif(not shutil.which('systemd-sysusers'), reason='systemd is not installed')
def test_systemd_makes_the_account_and_the_folders(tree, tmp_path):
    """On an empty tree, so nothing of this machine changes."""
    root = tmp_path / 'root'
    (root / 'etc').mkdir(parents=True)
    sysusers = tree / 'usr/lib/sysusers.d/openbits.conf'
    result = subprocess.run(['systemd-sysusers', f'--root={root}', str(sysusers)],
                            capture_output=True, text=True)
    if os.geteuid() != 0 and result.returncode:
        pytest.skip('needs root: making accounts, even in an empty tree')
    assert result.returncode == 0, result.stderr
    [line] = [line for line in (root / 'etc/passwd').read_text().splitlines()
              if line.startswith('bitsd:')]
    assert line.endswith(':/var/lib/openbits:/usr/sbin/nologin')
    result = subprocess.run(['systemd-tmpfiles', '--create', f'--root={root}',
                             str(tree / 'usr/lib/tmpfiles.d/openbits.conf')],
                            capture_output=True, text=True)
    assert 'bits' not in result.stderr or os.geteuid() != 0, result.stderr
    if os.geteuid() == 0:
        assert (root / 'var/lib/openbits').stat().st_mode & 0o7777 == 0o700


# OPS-14
@pytest.mark.parametrize('program', [None, 'vault-sync', 'sync-service'])
def test_a_program_can_be_built_with_pkg_config(tree, tmp_path, program):
    """One that is made up, and the examples."""
    [pc] = tree.glob('usr/lib/**/pkgconfig/openbits.pc')
    source = ROOT / 'examples' / f'{program}.c'
    if not program:
        source = tmp_path / 'program.c'
        source.write_text('#include <openbits.h>\nint main(void) { return bits_code_name(BITS_CODE_EMPTY) == 0; }\n')
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'openbits'], text=True, check=True,
                           env={**os.environ, 'PKG_CONFIG_PATH': str(pc.parent),
                                'PKG_CONFIG_SYSROOT_DIR': str(tree)},
                           capture_output=True).stdout.split()
    sanitize = ['-fsanitize=address,undefined'] if os.environ.get('OPENBITS_SANITIZERS') else []
    subprocess.run(['gcc', '-Wall', '-Wextra', '-Werror', str(source), '-o', str(tmp_path / 'program'), *sanitize,
                    *flags], check=True)
    [library] = [path for path in tree.glob('usr/lib/**/libopenbits.so.0')]
    result = subprocess.run([str(tmp_path / 'program')], capture_output=True, text=True,
                            env={**os.environ, 'LD_LIBRARY_PATH': str(library.parent)})
    assert 'error while loading' not in result.stderr
    assert result.returncode == 0 if not program else result.stderr     # an example says how to call it
