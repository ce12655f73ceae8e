/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of strangers: more descriptors than there is room for, bodies that
 * lie, and what is left behind when one was refused: nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"

static int ends[2];
static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];

static int open_ends(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_ends(void **state)
{
    (void)state;
    spawn_close_fds(ends, 2);
    return 0;
}

static int take(spawn_packet *p)
{
    return spawn_packet_receive(ends[1], buffer, sizeof(buffer), p);
}

/* These bytes with so many descriptors, as no client of ours sends them. */
static void send_raw(const void *bytes, size_t length, int fd, unsigned count)
{
    spawn_packet_control control;
    struct iovec part = {(void *)(uintptr_t)bytes, length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c;
    unsigned i;

    if (count) {
        memset(&control, 0, sizeof(control));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (i = 0; i < count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
    }
    assert_int_equal(sendmsg(ends[0], &m, 0), (int)length);
}

static void make_head(uint8_t *head, uint32_t body)
{
    static const uint8_t start[8] = {0x53, 0x50, SPAWN_WIRE_VERSION,
                                     SPAWN_WIRE_BODY_IN_FD, SPAWN_M_JOB};

    memset(head, 0, SPAWN_WIRE_HEADER);
    memcpy(head, start, sizeof(start));
    memcpy(head + 12, &body, 4);
}

static unsigned given;

static void count_and_close(int fd)
{
    given++;
    (void)close(fd);
}

static void too_many_descriptors_are_refused_and_given_away(void **state)
{
    unsigned before = open_count();
    uint8_t head[SPAWN_WIRE_HEADER];
    spawn_packet p;

    (void)state;
    make_head(head, 0);
    head[3] = 0;
    given = 0;
    spawn_packets_close_by(count_and_close);
    send_raw(head, sizeof(head), 0, SPAWN_FDS_MAX + 1); /* one is a body's */
    assert_int_equal(take(&p), 1);
    assert_int_equal(p.fds_count, SPAWN_FDS_MAX + 1);
    spawn_packet_close(&p);
    assert_int_equal(given, SPAWN_FDS_MAX + 1);
    send_raw(head, sizeof(head), 0, 200);
    assert_int_equal(take(&p), -EMSGSIZE);
    assert_int_equal(given, SPAWN_FDS_MAX + 1 + 200);
    assert_int_equal(open_count(), before);
}

static void more_than_can_be_taken_cannot_be_sent(void **state)
{
    int fds[SPAWN_FDS_MAX + 1] = {0};
    uint8_t head[SPAWN_WIRE_HEADER];

    (void)state;
    make_head(head, 0);
    assert_int_equal(
        spawn_packet_send(ends[0], head, sizeof(head), fds, SPAWN_FDS_MAX + 1),
        -EMSGSIZE);
}

static void a_packet_without_a_header_is_refused(void **state)
{
    uint8_t head[SPAWN_WIRE_HEADER];
    spawn_packet p;
    size_t n;

    (void)state;
    make_head(head, 0);
    for (n = 1; n < sizeof(head); n++) {
        send_raw(head, n, 0, 1);
        assert_int_equal(take(&p), -EBADMSG);
    }
    head[0]++;
    send_raw(head, sizeof(head), 0, 1);
    assert_int_equal(take(&p), -EBADMSG);
}

static int sealed_of(size_t length)
{
    int fd = spawn_os_memfd("test");

    assert_int_equal(ftruncate(fd, (off_t)length), 0);
    assert_int_equal(spawn_os_seal(fd), 0);
    return fd;
}

static int take_body(size_t length, spawn_packet *p)
{
    uint8_t head[SPAWN_WIRE_HEADER];
    int fd = sealed_of(length);

    make_head(head, (uint32_t)length);
    send_raw(head, sizeof(head), fd, 1);
    (void)close(fd);
    return take(p);
}

static bool is_mapped(const void *at)
{
    unsigned char there;

    return mincore((void *)((uintptr_t)at & ~(uintptr_t)4095), 1, &there) == 0;
}

static void a_body_has_some_bytes_and_not_too_many(void **state)
{
    unsigned before = open_count();
    spawn_packet p;

    (void)state;
    assert_int_equal(take_body(0, &p), -EBADMSG);
    assert_int_equal(take_body(SPAWN_ANSWER_MAX + 1, &p), -EBADMSG);
    assert_int_equal(take_body(SPAWN_ANSWER_MAX, &p), 1);
    assert_int_equal(p.length, SPAWN_WIRE_HEADER + SPAWN_ANSWER_MAX);
    spawn_packet_close(&p);
    assert_int_equal(open_count(), before);
}

static void beside_its_body_a_packet_has_a_header_only(void **state)
{
    uint8_t bytes[SPAWN_WIRE_HEADER + 8] = {0};
    int fd = sealed_of(8);
    spawn_packet p;

    (void)state;
    make_head(bytes, 8);
    send_raw(bytes, sizeof(bytes), fd, 1);
    assert_int_equal(take(&p), -EBADMSG);
    (void)close(fd);
}

static void a_packet_is_closed_once_and_leaves_no_memory(void **state)
{
    spawn_packet p;
    const uint8_t *data;
    int other;

    (void)state;
    assert_int_equal(take_body(100000, &p), 1);
    data = p.data;
    assert_non_null(p.map);
    assert_true(is_mapped(data));
    assert_true(is_mapped(data + 50000));
    p.fds[0] = other = dup(0);
    p.fds_count = 1;
    spawn_packet_close(&p);
    assert_false(is_mapped(data));
    assert_false(is_mapped(data + 50000));
    assert_int_equal(p.fds_count, 0);
    assert_null(p.map);
    assert_int_equal(dup(0), other); /* the same number, of somebody else */
    spawn_packet_close(&p);
    assert_true(fcntl(other, F_GETFD) >= 0);
    (void)close(other);
    spawn_packet_close(NULL);
}

static int takes_without_memory(void)
{
    unsigned before = open_count();
    uint8_t head[SPAWN_WIRE_HEADER];
    int fd = sealed_of(SPAWN_ANSWER_MAX);
    spawn_packet p;

    make_head(head, SPAWN_ANSWER_MAX);
    send_raw(head, sizeof(head), fd, 1);
    (void)close(fd);
    no_more_memory_than(1 << 20);
    if (take(&p) != -ENOMEM)
        return 1;
    return open_count() == before ? 0 : 2;
}

static void a_body_that_there_is_no_memory_for_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(takes_without_memory), 0);
}

static int has_no_memfd(void)
{
    static uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];
    spawn_packet p;

    deny(SYS_memfd_create, EMFILE);
    if (spawn_bytes_memfd("test", "x", 1) != -EMFILE)
        return 1;
    make_head(big, SPAWN_INLINE_MAX + 1);
    big[3] = 0;
    if (spawn_packet_send(ends[0], big, sizeof(big), NULL, 0) != -EMFILE)
        return 2;
    return take(&p) == -EAGAIN ? 0 : 3; /* nothing of it was sent */
}

static int cannot_seal(void)
{
    int next = dup(0);

    (void)close(next);
    deny(SYS_fcntl, EPERM);
    if (spawn_bytes_memfd("test", "x", 1) != -EPERM)
        return 1;
    return dup(0) == next ? 0 : 2;
}

static void bytes_that_cannot_be_sealed_are_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(has_no_memfd), 0);
    assert_int_equal(in_a_child(cannot_seal), 0);
}

static void what_was_closed_is_forgotten(void **state)
{
    int fds[3] = {dup(0), -1, dup(0)};

    (void)state;
    spawn_close_fds(fds, 2);
    assert_int_equal(fds[0], -1);
    assert_true(fcntl(fds[2], F_GETFD) >= 0); /* not one more */
    spawn_packets_close_by(count_and_close);
    given = 0;
    fds[0] = dup(0);
    spawn_close_passed(fds, 2);
    assert_int_equal(given, 1);
    assert_int_equal(fds[0], -1);
    assert_true(fcntl(fds[2], F_GETFD) >= 0);
    (void)close(fds[2]);
}

static int writes_without_room(void)
{
    static const char bytes[10000];
    unsigned before = open_count();

    no_file_longer_than(4096);
    if (spawn_bytes_memfd("test", bytes, sizeof(bytes)) != -EFBIG)
        return 1;
    return open_count() == before ? 0 : 2;
}

static void bytes_that_there_is_no_room_for_are_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(writes_without_room), 0);
}

static size_t at_once; /* that a write takes; 0: all */

ssize_t write(int fd, const void *bytes, size_t length)
{
    return syscall(SYS_write, fd, bytes,
                   at_once && length > at_once ? at_once : length);
}

static void bytes_that_are_written_in_pieces_are_whole(void **state)
{
    char text[16] = "";
    int fd;

    (void)state;
    at_once = 3;
    fd = spawn_bytes_memfd("test", "some bytes", 10);
    at_once = 0;
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    assert_string_equal(text, "some bytes");
    (void)close(fd);
}

static void bytes_are_read_from_their_beginning_and_stay(void **state)
{
    int fd = spawn_bytes_memfd("test", "some bytes", 10);
    char text[16] = "";

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    assert_string_equal(text, "some bytes");
    assert_true(spawn_os_sealed(fd));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    (void)close(fd);
}

static void who_sent_it_is_told_and_is_no_descriptor(void **state)
{
    uint8_t head[SPAWN_WIRE_HEADER];
    spawn_packet p;

    (void)state;
    make_head(head, 0);
    head[3] = 0;
    send_raw(head, sizeof(head), 0, 0);
    assert_int_equal(take(&p), 1);
    assert_false(p.has_sender);
    assert_int_equal(spawn_os_pass_credentials(ends[1]), 0);
    send_raw(head, 0, 0, 0); /* an empty one is not the end */
    assert_int_equal(take(&p), -EBADMSG);
    send_raw(head, sizeof(head), 0, 1);
    assert_int_equal(take(&p), 1);
    assert_true(p.has_sender);
    assert_int_equal(p.sender.pid, getpid());
    assert_int_equal(p.sender.uid, getuid());
    assert_int_equal(p.fds_count, 1);
    spawn_packet_close(&p);
    send_raw(head, 5, 0, 0); /* of one that is refused too */
    memset(&p, 0, sizeof(p));
    assert_int_equal(take(&p), -EBADMSG);
    assert_true(p.has_sender);
    assert_int_equal(p.sender.pid, getpid());
}

/* The sender of the packet before does not count. */
static void a_packet_without_a_sender_has_none(void **state)
{
    spawn_packet_control control;
    uint8_t head[SPAWN_WIRE_HEADER];
    const int off = 0;
    spawn_packet p;

    (void)state;
    make_head(head, 0);
    head[3] = 0;
    assert_int_equal(spawn_os_pass_credentials(ends[1]), 0);
    send_raw(head, sizeof(head), 0, 0);
    assert_int_equal(spawn_packet_receive_with(ends[1], buffer, sizeof(buffer),
                                               &control, &p),
                     1);
    assert_true(p.has_sender);
    assert_int_equal(
        setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
    send_raw(head, sizeof(head), 0, 0);
    assert_int_equal(spawn_packet_receive_with(ends[1], buffer, sizeof(buffer),
                                               &control, &p),
                     1);
    assert_false(p.has_sender);
}

static void only_credentials_tell_a_sender(void **state)
{
    const struct ucred from = {4711, 4712, 4713};
    const struct cmsghdr head = {CMSG_LEN(sizeof(from)), SOL_SOCKET,
                                 SCM_CREDENTIALS};
    spawn_packet_control control;
    spawn_sender sender = {0};

    (void)state;
    memset(&control, 0, sizeof(control));
    control.align = head;
    memcpy(CMSG_DATA(&control.align), &from, sizeof(from));
    assert_true(spawn_packet_sender(&control, &sender));
    assert_int_equal(sender.pid, 4711);
    assert_int_equal(sender.uid, 4712);
    control.align.cmsg_type = SCM_RIGHTS; /* three descriptors are as long */
    assert_false(spawn_packet_sender(&control, &sender));
    control.align = head;
    control.align.cmsg_level = SOL_SOCKET + 1;
    assert_false(spawn_packet_sender(&control, &sender));
    control.align = head;
    control.align.cmsg_len--;
    assert_false(spawn_packet_sender(&control, &sender));
}

/* The errno of before does not count. */
static void an_end_is_told_at_once(void **state)
{
    spawn_packet p;

    (void)state;
    (void)close(ends[0]);
    ends[0] = -1;
    errno = EINTR;
    (void)alarm(10);
    assert_int_equal(take(&p), 0);
    (void)alarm(60);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_ends, close_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(too_many_descriptors_are_refused_and_given_away),
        T(more_than_can_be_taken_cannot_be_sent),
        T(a_packet_without_a_header_is_refused),
        T(a_body_has_some_bytes_and_not_too_many),
        T(beside_its_body_a_packet_has_a_header_only),
        T(a_packet_is_closed_once_and_leaves_no_memory),
        T(a_body_that_there_is_no_memory_for_is_an_error),
        T(bytes_that_there_is_no_room_for_are_an_error),
        T(bytes_that_cannot_be_sealed_are_an_error),
        T(what_was_closed_is_forgotten),
        T(bytes_that_are_written_in_pieces_are_whole),
        T(bytes_are_read_from_their_beginning_and_stay),
        T(who_sent_it_is_told_and_is_no_descriptor),
        T(a_packet_without_a_sender_has_none),
        T(only_credentials_tell_a_sender),
        T(an_end_is_told_at_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("packet_hostile", tests, NULL, NULL);
}
