"""Helper tokens: one job, two identities, and the kernel as the witness of who did what.

Who wrote a file is what stat() says; who made a connection is the user of the client's socket in
/proc/net/tcp, found by the port that the server saw.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import signal
import socket

import pytest

import bus
from bus import refused
from conftest import offset, temporary_files

MIB = 1 << 20
E_TOKEN_REQUIRED = 0x80200056
E_ACCESS_DENIED = 0x80070005
ADMINISTRATOR = 0


@pytest.fixture
def world(root_world):
    return root_world


def socket_uid(port, server_port=None):
    """The user of the local socket with that port that is connected, as the kernel knows it. Two
    connections may have the same port here if they lead to different servers."""
    with open('/proc/net/tcp') as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            here, there = (int(field.split(':')[1], 16) for field in fields[1:3])
            if here == port and there == (server_port or there) and fields[3] == '01':
                return int(fields[7])
    raise AssertionError(f'no connection from port {port}')


# TOK-40, TOK-41
@pytest.mark.parametrize('flags', [0, bus.LOCAL_FILE, bus.NETWORK, bus.LOCAL_FILE | bus.NETWORK])
def test_flags_decide_who_writes_and_who_connects(world, flags):
    writer = world.bob if flags & bus.LOCAL_FILE else world.alice
    connector = world.bob if flags & bus.NETWORK else world.alice
    vault = world.vault(writer)      # nobody else may enter it
    url = world.put(MIB, stall_after=MIB // 2)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(flags)
    job.add(url, vault / 'a')
    job.resume()
    request = world.server.wait_stalled(world.path_of(url))
    assert socket_uid(request.peer_port) == connector
    [temporary] = temporary_files(vault)
    assert temporary.stat().st_uid == writer
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'a').stat().st_uid == writer
    assert (vault / 'a').read_bytes() == world.bytes(url)
    assert os.listdir(vault) == ['a']


# TOK-42
def test_supplementary_groups_of_the_token_count(world):
    vault = world.vault(world.carol, mode=0o700)
    os.chown(vault, world.carol, 54321)
    vault.chmod(0o770)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.LOCAL_FILE)
    assert refused(job.add, world.put(10), vault / 'a') == 'AccessDenied'
    world.set_token(job, world.bob, groups=(54321,))
    url = world.put(1000)
    job.add(url, vault / 'a')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'a').stat().st_uid == world.bob


# TOK-43
def test_token_and_flags_can_be_read_back(world):
    job = world.manager().create()
    assert (job.helper_sid(), job.helper_flags()) == ('', 0)
    world.set_token(job, world.bob)
    assert (job.helper_sid(), job.helper_flags()) == (f'S-1-22-1-{world.bob}', 0)
    job.set_helper_flags(bus.NETWORK)
    assert job.helper_flags() == bus.NETWORK
    world.set_token(job, world.carol)
    assert job.helper_sid() == f'S-1-22-1-{world.carol}'
    job.set_helper_flags(0)
    assert job.helper_sid() == f'S-1-22-1-{world.carol}'
    job.clear_helper_token()
    assert (job.helper_sid(), job.helper_flags()) == ('', 0)


# TOK-44
def test_clear_keeps_the_flags(world):
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.NETWORK)
    job.clear_helper_token()
    assert (job.helper_sid(), job.helper_flags()) == ('', bus.NETWORK)


def half_way(world, flags):
    """A job stopped half-way by the loss of its token, in a directory where both may write."""
    vault = world.vault(world.bob if flags & bus.LOCAL_FILE else world.alice)
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(flags)
    job.add(url, vault / 'a')
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    job.clear_helper_token()
    job.wait('error')
    return job, url, vault


# TOK-45
@pytest.mark.parametrize('flags', [bus.LOCAL_FILE, bus.NETWORK, bus.LOCAL_FILE | bus.NETWORK])
def test_lost_token_ends_the_job_and_a_new_one_goes_on_from_the_kept_bytes(world, flags):
    job, url, vault = half_way(world, flags)
    fault = job.error()
    assert (fault.code, fault.context) == (E_TOKEN_REQUIRED, bus.CONTEXT_QUEUE_MANAGER)
    job.resume()                       # still without a token
    job.wait('error')
    assert job.error().code == E_TOKEN_REQUIRED
    world.set_token(job, world.bob)
    job.resume()
    job.wait('transferred')
    assert MIB // 2 <= offset(world.server.seen(world.path_of(url))[1]) <= MIB
    assert job.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)


# TOK-46
def test_without_flags_the_owner_goes_on_from_the_kept_bytes(world):
    job, url, vault = half_way(world, bus.NETWORK)
    job.set_helper_flags(0)
    job.resume()
    job.wait('transferred')
    assert MIB // 2 <= offset(world.server.seen(world.path_of(url))[1]) <= MIB
    assert job.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)


# TOK-47
def test_change_of_flags_takes_effect_at_once_and_keeps_the_bytes(world):
    url = world.put(3 * MIB, stall_after=MIB)
    vault = world.vault()
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.add(url, vault / 'a')
    job.resume()
    first = world.server.wait_stalled(world.path_of(url))
    assert socket_uid(first.peer_port) == world.alice
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    job.set_helper_flags(bus.NETWORK)
    second = world.server.wait_requests(world.path_of(url), 2)[1]
    world.server.wait(lambda: second.sent > 0)
    assert socket_uid(second.peer_port) == world.bob
    assert offset(second) >= MIB // 2
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)


# TOK-47
def test_change_of_the_token_takes_effect_at_once(world):
    url = world.put(3 * MIB, stall_after=MIB)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.NETWORK)
    job.add(url, world.vault() / 'a')
    job.resume()
    first = world.server.wait_stalled(world.path_of(url))
    assert socket_uid(first.peer_port) == world.bob
    world.set_token(job, world.carol)
    second = world.server.wait_requests(world.path_of(url), 2)[1]
    world.server.wait(lambda: second.sent > 0)
    assert socket_uid(second.peer_port) == world.carol


# ---- another local identity in mid-job ----

def identities(world, flags):
    """Who writes first, who after the flags were turned over."""
    pair = (world.alice, world.bob)
    return pair[::-1] if flags & bus.LOCAL_FILE else pair


def written_half_way(world, directory, flags, **fields):
    """A job of alice's with bob's token, suspended in the middle."""
    url = world.put(2 * MIB, stall_after=MIB, times=1, **fields)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(flags)
    job.add(url, directory / 'a')
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    job.suspend()
    job.wait('suspended')
    return job, url


def goes_on(world, job, url):
    """To the end, from the kept bytes."""
    job.resume()
    job.wait('transferred')
    assert MIB // 2 <= offset(world.server.seen(world.path_of(url))[1]) <= MIB
    assert job.complete() == 0


def shared(world, mode):
    """A directory that is neither alice's nor bob's."""
    return world.vault(world.carol, mode)


both_ways = pytest.mark.parametrize('flags', [0, bus.LOCAL_FILE], ids=['to helper', 'to owner'])


# DUR-55, FIL-42
@both_ways
def test_other_local_identity_goes_on_from_the_kept_bytes_in_a_file_of_its_own(world, flags):
    first, second = identities(world, flags)
    directory = shared(world, 0o777)
    job, url = written_half_way(world, directory, flags)
    [temporary] = temporary_files(directory)
    assert temporary.stat().st_uid == first
    job.set_helper_flags(flags ^ bus.LOCAL_FILE)
    goes_on(world, job, url)
    assert os.listdir(directory) == ['a']
    assert (directory / 'a').stat().st_uid == second
    assert (directory / 'a').read_bytes() == world.bytes(url)


# DUR-55
@both_ways
def test_local_identity_changes_while_it_is_written(world, flags):
    directory = shared(world, 0o777)
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(flags)
    job.add(url, directory / 'a')
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    job.set_helper_flags(flags ^ bus.LOCAL_FILE)
    goes_on(world, job, url)
    assert (directory / 'a').stat().st_uid == identities(world, flags)[1]
    assert (directory / 'a').read_bytes() == world.bytes(url)


# FIL-48
@both_ways
def test_file_that_begins_anew_changes_hands_too(world, flags):
    """A server without ranges: nothing of the other's file is wanted, and it is in the way."""
    directory = shared(world, 0o777)
    job, url = written_half_way(world, directory, flags, ranges=False)
    job.set_helper_flags(flags ^ bus.LOCAL_FILE)
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert os.listdir(directory) == ['a']
    assert (directory / 'a').stat().st_uid == identities(world, flags)[1]
    assert (directory / 'a').read_bytes() == world.bytes(url)


# FIL-45
@pytest.mark.parametrize('mode', [0o755, 0o1777], ids=['not writable', 'sticky'])
def test_local_identity_that_may_not_go_on_leaves_everything_to_the_one_who_may(world, mode):
    directory = shared(world, 0o777)
    job, url = written_half_way(world, directory, bus.LOCAL_FILE)
    if mode == 0o755:
        os.chown(directory, world.bob, world.bob)
    directory.chmod(mode)
    [temporary] = temporary_files(directory)
    before = temporary.read_bytes(), temporary.stat()
    job.set_helper_flags(0)
    job.resume()
    job.wait('error')
    fault = job.error()
    assert (fault.code, fault.context) == (E_ACCESS_DENIED, bus.CONTEXT_LOCAL_FILE)
    assert temporary_files(directory) == [temporary]
    assert (temporary.read_bytes(), temporary.stat().st_ino) == (before[0], before[1].st_ino)
    job.set_helper_flags(bus.LOCAL_FILE)
    goes_on(world, job, url)
    assert (directory / 'a').stat().st_uid == world.bob
    assert (directory / 'a').read_bytes() == world.bytes(url)


# FIL-49; FIL-460: in a directory that only its maker may enter.
@pytest.mark.parametrize('private', [False, True], ids=["everybody's", "the maker's"])
@both_ways
def test_cancel_after_a_change_of_the_local_identity_leaves_nothing(world, flags, private):
    directory = world.vault(identities(world, flags)[0]) if private else shared(world, 0o777)
    job, _ = written_half_way(world, directory, flags)
    job.set_helper_flags(flags ^ bus.LOCAL_FILE)
    assert job.cancel() == 0
    assert os.listdir(directory) == []


# FIL-460, TOK-06: nobody removes what was made by a helper who is gone, but the owner what he made.
@both_ways
def test_cancel_without_the_helper(world, flags):
    directory = shared(world, 0o777)
    job, _ = written_half_way(world, directory, flags)
    job.set_helper_flags(bus.LOCAL_FILE)
    job.clear_helper_token()
    assert job.cancel() == (0x0020001A if flags else 0)
    assert len(os.listdir(directory)) == (1 if flags else 0)


# FIL-460: a Complete of a part, by another identity than made the rest of it.
def test_part_is_completed_and_the_rest_removed_by_its_maker(world):
    mine, his = world.vault(), world.vault(world.bob)
    done, left = world.put(1000), world.put(2 * MIB, stall_after=MIB, times=1)
    job = world.manager().create()
    world.set_token(job, world.bob, bus.LOCAL_FILE)
    job.add(left, his / 'b')
    job.resume()
    world.server.wait_stalled(world.path_of(left))
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    job.set_helper_flags(0)
    mine.chmod(0o755)
    job.suspend()
    job.wait('suspended')
    job.add(done, mine / 'a')
    assert len(temporary_files(his)) == 1
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert os.listdir(his) == []


# TOK-465: what is said last counts, though the first of it takes longer.
def test_clear_overtakes_a_set_that_is_on_its_way(world):
    job = world.manager().create()
    token = world.token(world.bob)
    [broker] = world.playground.pids('broker')
    os.kill(broker, signal.SIGSTOP)     # whom SetHelperToken asks
    try:
        call = job.bus.send(job.path, bus.TOKEN_OPTIONS, 'SetHelperToken', 'h', token)
        job.clear_helper_token()
    finally:
        os.kill(broker, signal.SIGCONT)
    assert refused(job.bus.reply, call) == 'InvalidState'
    assert job.helper_sid() == ''
    job.set_helper_token(token)
    os.close(token)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# TOK-48
def test_ordinary_user_may_offer_an_ordinary_helper_but_not_an_administrator(world):
    job = world.manager(world.alice).create()
    world.set_token(job, world.bob)
    token = world.token(ADMINISTRATOR)
    assert refused(job.set_helper_token, token) == 'AccessDenied'
    os.close(token)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# TOK-49
def test_administrator_may_offer_any_helper(world):
    job = world.manager(ADMINISTRATOR).create()
    world.set_token(job, ADMINISTRATOR)
    assert job.helper_sid() == 'S-1-22-1-0'
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.LOCAL_FILE | bus.NETWORK)
    vault = world.vault(world.bob)
    url = world.put(1000)
    job.add(url, vault / 'a')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'a').stat().st_uid == world.bob


# TOK-50
def test_call_made_while_impersonating_the_helper_counts_as_the_opener(world):
    """The handle is made before, so the code reads: impersonate, call, revert."""
    job = world.manager(world.alice).create()
    held = bus.Job(world.handle(job.query_interface(bus.TOKEN_OPTIONS)), job.path)
    path = world.manager().get('TokenSocket')

    def as_bob():
        token = bus.capture_token(path)
        held.set_helper_token(token)
        held.set_helper_flags(bus.NETWORK)
    bus.run_as(world.bob, as_bob)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'
    assert job.helper_flags() == bus.NETWORK


# TOK-51
@pytest.mark.parametrize('flags', [4, 8, 0x10000 | 4, 0xffffffff, 0x80000000])
def test_unknown_flags_are_refused_and_nothing_changes(world, flags):
    job = world.manager().create()
    job.set_helper_flags(bus.NETWORK)
    assert refused(job.set_helper_flags, flags) == 'InvalidArgument'
    assert job.helper_flags() == bus.NETWORK


# TOK-52
def test_descriptor_that_is_no_token_is_refused(world):
    job = world.manager().create()
    before = world.daemons()
    reader, writer = os.pipe()
    stream, stream_other = socket.socketpair()
    packet, packet_other = socket.socketpair(type=socket.SOCK_SEQPACKET)
    handle = world.manager().open(job.id)
    null = os.open('/dev/null', os.O_RDWR)
    directory = os.open('/', os.O_PATH)
    for fd in (reader, writer, stream.fileno(), packet.fileno(), handle, null, directory,
               packet_other.fileno(), stream_other.fileno()):
        assert refused(job.set_helper_token, fd) == 'InvalidHandle'
    for fd in (reader, writer, handle, null, directory):
        os.close(fd)
    assert job.helper_sid() == ''
    assert world.daemons() == before


# TOK-52: the socket that connected is not what came over it; nor is another server's
def test_sockets_that_lead_to_servers_are_no_tokens(world):
    job = world.manager().create()
    before = world.daemons()
    address = world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS']
    for path in (world.manager().get('TokenSocket'), address.split('path=')[1].split(',')[0]):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            assert refused(job.set_helper_token, sock.fileno()) == 'InvalidHandle'
    assert job.helper_sid() == ''
    assert world.daemons() == before


# TOK-301
def test_token_that_was_ended_is_refused_and_starts_no_process(world):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    job, other = (world.manager().create() for _ in range(2))
    with socket.socket(fileno=world.token(world.bob)) as token:
        job.set_helper_token(token.fileno())
        job.set_helper_flags(bus.NETWORK)
        job.add(url, world.vault() / 'a')
        job.resume()
        world.server.wait_stalled(world.path_of(url))
        job.wait_until(lambda: job.progress.transferred >= MIB // 2)
        token.shutdown(socket.SHUT_RDWR)
        world.playground.kill('bits-net', signal.SIGKILL)     # so that another one is needed
        job.wait('error')
        assert job.error().code == E_TOKEN_REQUIRED
        assert refused(other.set_helper_token, token.fileno()) == 'InvalidHandle'
    world.set_token(job, world.bob)
    job.resume()
    job.wait('transferred')
    assert MIB // 2 <= offset(world.server.seen(world.path_of(url))[1]) <= MIB
    assert job.complete() == 0


# TOK-53
def test_copy_of_a_token_is_as_good_and_the_job_keeps_its_own(world):
    job = world.manager().create()
    token = world.token(world.bob)
    copy = os.dup(token)
    os.close(token)
    job.set_helper_token(copy)
    os.close(copy)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# TOK-54
def test_writing_into_a_token_changes_nothing(world):
    token = world.token(world.bob)
    with socket.socket(fileno=token) as sock:
        sock.setblocking(False)
        try:
            for _ in range(1000):
                sock.send(os.urandom(100))
        except OSError:
            pass    # full, or cut off: both are fine
        job = world.manager().create()
        try:
            job.set_helper_token(sock.fileno())
        except bus.BusError as error:
            assert error.short == 'InvalidHandle'
        else:
            assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# TOK-55
def test_token_names_the_effective_identity_of_the_thread(world):
    """Not the process that connects: that is root's, and its real user stays root."""
    job = world.manager(ADMINISTRATOR).create()
    assert os.getuid() == 0
    world.set_token(job, world.carol)
    assert job.helper_sid() == f'S-1-22-1-{world.carol}'


# TOK-56
def test_helper_calls_on_a_finished_job(world):
    job = world.manager().create()
    job.cancel()
    token = world.token(world.bob)
    assert refused(job.set_helper_token, token) == 'InvalidState'
    assert refused(job.clear_helper_token) == 'InvalidState'
    assert refused(job.set_helper_flags, 1) == 'InvalidState'
    os.close(token)


# TOK-57
def test_local_file_flag_moves_the_check_of_the_directory_to_the_helper(world):
    job = world.manager().create()
    of_bob, of_alice = world.vault(world.bob), world.vault(world.alice)
    assert refused(job.add, world.put(10), of_bob / 'a') == 'AccessDenied'
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.LOCAL_FILE)
    job.add(world.put(10), of_bob / 'a')
    assert refused(job.add, world.put(10), of_alice / 'a') == 'AccessDenied'
    job.clear_helper_token()
    assert refused(job.add, world.put(10), of_bob / 'b') == 'TokenRequired'


# TOK-58
def test_flags_survive_a_restart_and_the_token_is_asked_for(world):
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.NETWORK)
    url = world.put(1000)
    job.add(url, world.vault() / 'a')
    world.restart('bitsd')
    world.restart('bits-broker')
    job = world.manager().job(job.id)
    assert job.helper_flags() == bus.NETWORK
    if job.helper_sid() == '':          # nobody has to keep a token over that
        job.resume()
        job.wait('error')
        assert job.error().code == E_TOKEN_REQUIRED
        world.set_token(job, world.bob)
    job.resume()
    job.wait('transferred')


# TOK-59
def test_job_with_a_token_but_without_flags_does_not_need_it(world):
    job = world.manager().create()
    world.set_token(job, world.bob)
    job.clear_helper_token()
    url = world.put(1000)
    job.add(url, world.vault() / 'a')
    job.resume()
    job.wait('transferred')


# TOK-60
def test_administrator_who_does_not_own_the_job_may_still_give_it_a_helper(world):
    job = world.manager(world.alice).create()
    foreign = world.manager(ADMINISTRATOR).job(job.id)
    world.set_token(foreign, world.bob)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# TOK-61
def test_ordinary_owner_may_not_use_a_job_that_holds_an_administrators_token(world):
    """The token was set by root; its owner may not choose what root's identity does."""
    job = world.manager(world.alice).create()
    world.set_token(world.manager(ADMINISTRATOR).job(job.id), ADMINISTRATOR)
    assert refused(job.set_helper_flags, bus.LOCAL_FILE) == 'AccessDenied'


# TOK-373
@pytest.mark.parametrize('flags', [0, bus.LOCAL_FILE | bus.NETWORK])
def test_owner_names_nothing_for_an_administrators_token(world, flags):
    vault, own = world.vault(ADMINISTRATOR), world.vault()
    url = world.put(1000)
    job = world.manager().create()
    held = bus.Job(world.handle(world.manager().open(job.id)), job.path, job.id)
    job.add(url, own / 'a')
    foreign = world.manager(ADMINISTRATOR).job(job.id)
    world.set_token(foreign, ADMINISTRATOR)
    foreign.set_helper_flags(flags)
    for target in (job, held):
        assert refused(target.add, url, vault / 'a') == 'AccessDenied'
        assert refused(target.add, '/etc/shadow', own / 'b') == 'AccessDenied'
        assert refused(target.add_all, [(url, vault / 'a')]) == 'AccessDenied'
        assert refused(target.add_ranges, url, vault / 'a', [(0, 1)]) == 'AccessDenied'
        assert refused(target.file().call, 'SetRemoteName', 's', '/etc/shadow') == 'AccessDenied'
        assert refused(target.call, 'ReplaceRemotePrefix', 'ss', url, '/etc') == 'AccessDenied'
    assert len(job.files()) == 1
    foreign.add(url, (vault if flags else own) / 'b')       # root says it himself
    foreign.clear_helper_token()
    foreign.set_helper_flags(0)
    job.add(url, own / 'c')
    assert len(job.files()) == 3
