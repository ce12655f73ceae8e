/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: descriptors, big bodies in a sealed memfd, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

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

/* How many descriptors this process has open. */
static int open_count(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void build(spawn_writer *w, size_t bytes, unsigned fds)
{
    uint8_t *payload = malloc(bytes ? bytes : 1);

    memset(payload, 0xab, bytes);
    spawn_writer_init(w, SPAWN_ANSWER_MAX);
    spawn_writer_begin(w, SPAWN_M_JOB, 9);
    spawn_put_bytes(w, SPAWN_A_OUT, payload, bytes);
    assert_int_equal(spawn_writer_finish(w, fds), 0);
    free(payload);
}

static void small_and_big_messages_arrive_whole(void **state)
{
    static const size_t sizes[] = {0,      100,    65000, SPAWN_INLINE_MAX,
                                   200000, 5000000};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        spawn_packet p;
        spawn_writer w;

        build(&w, sizes[i], 0);
        assert_int_equal(spawn_packet_send(ends[0], w.data, w.length, NULL, 0),
                         0);
        assert_int_equal(
            spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p), 1);
        assert_int_equal(p.length, w.length);
        assert_int_equal(p.fds_count, 0);
        assert_memory_equal(p.data + SPAWN_WIRE_HEADER,
                            w.data + SPAWN_WIRE_HEADER,
                            w.length - SPAWN_WIRE_HEADER);
        spawn_packet_close(&p);
        spawn_writer_free(&w);
    }
}

/* In one packet as long as there is room for it, and with the same header. */
static void a_body_goes_apart_when_it_must(void **state)
{
    size_t bytes;

    (void)state;
    for (bytes = SPAWN_INLINE_MAX - 8; bytes <= SPAWN_INLINE_MAX; bytes += 8) {
        spawn_wire_header head;
        spawn_packet p;
        spawn_writer w;

        build(&w, bytes, 0);
        assert_int_equal(w.length, SPAWN_WIRE_HEADER + bytes + 8);
        assert_int_equal(spawn_packet_send(ends[0], w.data, w.length, NULL, 0),
                         0);
        assert_int_equal(
            spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p), 1);
        assert_int_equal(p.map != NULL, bytes == SPAWN_INLINE_MAX);
        assert_int_equal(spawn_wire_read_header(p.data, p.length, &head), 0);
        assert_int_equal(head.type, SPAWN_M_JOB);
        assert_int_equal(head.seq, 9);
        spawn_packet_close(&p);
        spawn_writer_free(&w);
    }
}

static void descriptors_arrive_close_on_exec_and_are_not_leaked(void **state)
{
    int before = open_count();
    int fds[SPAWN_FDS_MAX];
    spawn_packet p;
    spawn_writer w;
    struct stat a, b;
    unsigned i;

    (void)state;
    for (i = 0; i < SPAWN_FDS_MAX; i++)
        fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    build(&w, 200000, SPAWN_FDS_MAX); /* the body's memfd is one more */
    assert_int_equal(
        spawn_packet_send(ends[0], w.data, w.length, fds, SPAWN_FDS_MAX), 0);
    assert_int_equal(fstat(fds[0], &a), 0);
    spawn_close_fds(fds, SPAWN_FDS_MAX);
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     1);
    assert_int_equal(p.fds_count, SPAWN_FDS_MAX);
    for (i = 0; i < p.fds_count; i++) {
        assert_int_equal(fcntl(p.fds[i], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fstat(p.fds[i], &b), 0);
        assert_int_equal(a.st_rdev, b.st_rdev);
    }
    spawn_packet_close(&p);
    spawn_writer_free(&w);
    assert_int_equal(open_count(), before);
}

static int given[4];
static unsigned given_count;

static void note_given(int fd)
{
    given[given_count++] = fd;
}

/* A descriptor that may wait when it is closed is left to another process, or
 * thread. */
static void what_closes_quickly_is_closed_here(void **state)
{
    int fds[6], pipe_ends[2], plain = open("/dev/null", O_RDWR | O_CLOEXEC);
    unsigned i;

    (void)state;
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    fds[0] = pipe_ends[0];
    fds[1] = plain;
    fds[2] = -1;
    fds[3] = spawn_os_memfd("test");
    fds[4] = ends[0];
    fds[5] = pipe_ends[1]; /* is none of them */
    given_count = 0;
    spawn_packets_close_by(note_given);
    spawn_close_quick(fds, 5);
    assert_int_equal(given_count, 2);
    assert_int_equal(given[0], plain);
    assert_int_equal(given[1], ends[0]);
    for (i = 0; i < 5; i++)
        assert_int_equal(fds[i], -1);
    assert_int_equal(fcntl(pipe_ends[0], F_GETFD), -1);
    assert_int_equal(fcntl(pipe_ends[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(plain, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    (void)close(pipe_ends[1]);
    (void)close(plain);
}

/* A header that says its body is in the descriptor that comes with it. */
static int receive_with_body(int body, uint32_t says)
{
    uint8_t head[SPAWN_WIRE_HEADER] = {0x53, 0x50, SPAWN_WIRE_VERSION,
                                       SPAWN_WIRE_BODY_IN_FD, SPAWN_M_JOB};
    spawn_packet p;
    int rv;

    memcpy(head + 12, &says, 4);
    assert_int_equal(spawn_packet_send(ends[0], head, sizeof(head), &body,
                                       body >= 0 ? 1 : 0),
                     0);
    rv = spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p);
    if (rv == 1)
        spawn_packet_close(&p);
    return rv;
}

static void a_body_that_can_still_change_is_refused(void **state)
{
    int fd = spawn_os_memfd("test");
    int before;

    (void)state;
    assert_int_equal(ftruncate(fd, 4096), 0);
    before = open_count();
    assert_int_equal(receive_with_body(fd, 4096), -EBADMSG);
    assert_int_equal(spawn_os_seal(fd), 0);
    assert_int_equal(receive_with_body(fd, 4096), 1);
    assert_int_equal(receive_with_body(fd, 4095), -EBADMSG);
    assert_int_equal(receive_with_body(fd, 0x7fffffff), -EBADMSG);
    assert_int_equal(receive_with_body(-1, 4096), -EBADMSG);
    assert_int_equal(open_count(), before);
    (void)close(fd);
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(receive_with_body(fd, 4096), -EBADMSG);
    (void)close(fd);
}

static void too_long_a_packet_is_refused(void **state)
{
    static uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];
    spawn_packet p;

    (void)state;
    assert_int_equal(send(ends[0], big, sizeof(big), 0), (int)sizeof(big));
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     -EMSGSIZE);
}

/* The sender is not to blame, and what it wrote can be read. */
static void a_packet_whose_descriptors_find_no_room_is_told_apart(void **state)
{
    struct rlimit files, none;
    spawn_writer w;
    spawn_packet p;
    int rv, before = open_count();

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    build(&w, 100, 1);
    assert_int_equal(spawn_packet_send(ends[0], w.data, w.length, &ends[0], 1),
                     0);
    memset(buffer, 0, sizeof(buffer));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rv = spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(rv, -EMFILE);
    assert_memory_equal(buffer, w.data, w.length);
    spawn_writer_free(&w);
    assert_int_equal(open_count(), before);
}

static void nothing_there_and_the_end_are_told_apart(void **state)
{
    spawn_packet p;

    (void)state;
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     -EAGAIN);
    (void)close(ends[0]);
    ends[0] = -1;
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     0);
    assert_int_equal(
        spawn_packet_send(ends[1], buffer, SPAWN_WIRE_HEADER, NULL, 0), -EPIPE);
}

/* An end with something unread resets the connection; messages that were sent
 * before are not lost by that. */
static void what_was_sent_before_the_end_arrives(void **state)
{
    spawn_writer w;
    spawn_packet p;

    (void)state;
    build(&w, 8, 0);
    assert_int_equal(spawn_packet_send(ends[0], w.data, w.length, NULL, 0), 0);
    assert_int_equal(spawn_packet_send(ends[1], w.data, w.length, NULL, 0), 0);
    spawn_writer_free(&w);
    (void)close(ends[0]);
    ends[0] = -1;
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     1);
    spawn_packet_close(&p);
    assert_int_equal(spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p),
                     0);
}

static void *say_one_and_end(void *arg)
{
    const spawn_writer *w = arg;

    (void)spawn_packet_send(ends[0], w->data, w->length, NULL, 0);
    (void)close(ends[0]);
    return NULL;
}

/* The kernel may find the queue empty, then see the end of who has sent in
 * between. */
static void an_end_is_not_told_before_what_was_sent(void **state)
{
    const int64_t enough = spawn_mono_ms() + 1500; /* on a busy machine */
    spawn_writer w;
    unsigned looks = 0;
    int round, rv;

    (void)state;
    build(&w, 8, 0);
    for (round = 0; round < 3000 && spawn_mono_ms() < enough; round++) {
        pthread_t other;
        spawn_packet p;

        if (round > 0)
            assert_int_equal(open_ends(NULL), 0);
        assert_int_equal(pthread_create(&other, NULL, say_one_and_end, &w), 0);
        do {
            rv = spawn_packet_receive(ends[1], buffer, sizeof(buffer), &p);
            if (++looks % 256 == 0) /* there may be no other CPU free */
                (void)sched_yield();
        } while (rv == -EAGAIN);
        assert_int_equal(rv, 1);
        spawn_packet_close(&p);
        (void)pthread_join(other, NULL);
        (void)close(ends[1]);
    }
    ends[0] = ends[1] = -1;
    spawn_writer_free(&w);
}

int main(void)
{
#define WITH_ENDS(f) cmocka_unit_test_setup_teardown(f, open_ends, close_ends)
    const struct CMUnitTest tests[] = {
        WITH_ENDS(small_and_big_messages_arrive_whole),
        WITH_ENDS(a_body_goes_apart_when_it_must),
        WITH_ENDS(descriptors_arrive_close_on_exec_and_are_not_leaked),
        WITH_ENDS(a_body_that_can_still_change_is_refused),
        WITH_ENDS(too_long_a_packet_is_refused),
        WITH_ENDS(a_packet_whose_descriptors_find_no_room_is_told_apart),
        WITH_ENDS(what_was_sent_before_the_end_arrives),
        WITH_ENDS(an_end_is_not_told_before_what_was_sent),
        WITH_ENDS(nothing_there_and_the_end_are_told_apart),
        WITH_ENDS(what_closes_quickly_is_closed_here)}; /* the last: how it is
                                                           closed stays */

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
