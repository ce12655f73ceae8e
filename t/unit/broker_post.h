/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts to a broker, and the inbox that it keeps them in (caller/inbox.c). This
 * program plays the rest (broker_caller.h).
 */
#ifndef BROKER_POST_H
#define BROKER_POST_H

#include <grp.h>
#include <sys/mman.h>

#include "t/unit/broker_caller.h"

#define STRANGER  65534 /* an account that is none of httpd's */
#define SLOTS     128
#define SLOT_SIZE 69632
#define SIZE      ((off_t)SLOTS * SLOT_SIZE)

/* ---- the inbox ---- */

static inline uint8_t *slots(void)
{
    void *map = mmap(NULL, (size_t)SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                     inbox_fd, 0);

    assert_true(map != MAP_FAILED);
    return map;
}

static inline unsigned full_slots(void)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    uint8_t *map = slots();
    unsigned i, count = 0;

    for (i = 0; i < SLOTS; i++)
        count += memcmp(map + (size_t)i * SLOT_SIZE, zeros, sizeof(zeros)) != 0;
    (void)munmap(map, (size_t)SIZE);
    return count;
}

/* As a broker leaves it that was killed. slot: from 0. */
static inline void put_in_slot(unsigned slot, const void *bytes, size_t length)
{
    uint8_t *map;

    assert_int_equal(ftruncate(inbox_fd, SIZE), 0);
    map = slots();
    memcpy(map + (size_t)slot * SLOT_SIZE, bytes,
           length < SLOT_SIZE ? length : SLOT_SIZE);
    (void)munmap(map, (size_t)SIZE);
}

/* The message itself. */
static inline void lies_in_slot(unsigned slot, spawn_writer *w)
{
    assert_int_equal(spawn_writer_finish(w, 0), 0);
    put_in_slot(slot, w->data, w->length);
    spawn_writer_free(w);
}

/* ---- posts ---- */

static inline void begin_post(spawn_writer *w, const spawn_id *id,
                              const char *program)
{
    size_t mark;

    begin(w, SPAWN_M_POST, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, program, strlen(program));
    spawn_close(w, mark);
}

/* A new one, with a time (ms). */
static inline void begin_timed_post(spawn_writer *w, spawn_id *ret,
                                    uint16_t which, uint64_t ms)
{
    assert_int_equal(spawn_id_make(ret), 0);
    begin_post(w, ret, "/bin/true");
    spawn_put_u64(w, which, ms);
}

/* 0 or a negative errno. */
static inline int try_to_post(spawn_writer *w, const int *fds, unsigned count)
{
    int rv = spawn_writer_finish(w, count);

    if (rv == 0)
        rv = spawn_packet_send(post_fds[0], w->data, w->length, fds, count);
    spawn_writer_free(w);
    return rv;
}

static inline void send_post(spawn_writer *w)
{
    assert_int_equal(try_to_post(w, NULL, 0), 0);
}

static inline void post(spawn_id *ret)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(ret), 0);
    begin_post(&w, ret, "/bin/true");
    send_post(&w);
}

static inline void runs(const spawn_id *id)
{
    expect_id(SPAWN_M_LAUNCH, id);
    say_started(id);
    say_exited(id, 0, 0);
    expect_id(SPAWN_M_FORGET, id);
}

/* In a process of another account. */
static inline void as_stranger(void (*does)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0
            || setuid(STRANGER) < 0)
            _exit(1);
        does();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#endif
