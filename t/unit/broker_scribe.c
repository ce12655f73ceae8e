/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scribe that dies at what it is sent gets it again from each that follows:
 * after some deaths nothing waits for it any more, though each of them has read
 * the ledger before. Links process/scribe.c of the broker; the scribe is this
 * program, and clock and loop are played.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/process/scribe.h"
#include "common/spawn_os.h"

#define DEADLINE_MS 30000
#define DEATHS_MOST 10 /* as in process/scribe.c */

static int64_t ahead; /* ms, of the clock */
static unsigned rows_ends, deaths, answers;

int64_t __real_spawn_mono_ms(void);
int64_t __wrap_spawn_mono_ms(void);

int64_t __wrap_spawn_mono_ms(void)
{
    return __real_spawn_mono_ms() + ahead;
}

/* ---- the loop ---- */

static spawn_watch *watched;

int spawn_watch_open(spawn_watch *w, int fd, int events,
                     void (*ready)(spawn_watch *w, int events))
{
    w->fd = fd;
    w->events = events;
    w->ready = ready;
    watched = w;
    return 0;
}

void spawn_watch_events(spawn_watch *w, int events)
{
    w->events = events;
}

void spawn_watch_close(spawn_watch *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
}

static void turn(void)
{
    struct pollfd p = {watched->fd, POLLIN, 0};

    if (poll(&p, 1, 10) > 0)
        watched->ready(watched, SPAWN_IN);
    ahead += 100;
    spawn_timers_run(spawn_mono_ms());
}

/* ---- the scribe ---- */

static void say(spawn_ledger_type type, uint64_t number)
{
    const spawn_ledger_record r = {.type = (uint16_t)type, .number = number};

    if (send(SPAWN_SCRIBE_FD, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
        _exit(1);
}

/* It writes ends, and dies at an order. */
static void serve(void)
{
    spawn_ledger_record r;

    say(SPAWN_LEDGER_ROWS_END, 0);
    while (recv(SPAWN_SCRIBE_FD, &r, sizeof(r), MSG_WAITALL) == sizeof(r)) {
        if (r.type == SPAWN_LEDGER_ORDER)
            _exit(1);
        say(SPAWN_LEDGER_DONE, r.number);
    }
    _exit(0);
}

/* ---- the broker ---- */

static void row(const spawn_ledger_record *r, const void *message,
                const char *text)
{
    (void)r, (void)message, (void)text;
}

static void rows_end(bool other_boot)
{
    (void)other_boot;
    rows_ends++;
}

static void answered(const spawn_ledger_record *r, const char *why)
{
    (void)r;
    assert_null(why);
    answers++;
}

static void copied(unsigned number, unsigned jobs, const char *why)
{
    (void)number, (void)jobs, (void)why;
}

static void trouble(const char *why)
{
    deaths += why != NULL;
}

static const spawn_scribe_events events = {.row = row,
                                           .rows_end = rows_end,
                                           .answered = answered,
                                           .copied = copied,
                                           .trouble = trouble};

static void until_dead(unsigned times)
{
    int64_t end = __real_spawn_mono_ms() + DEADLINE_MS;

    while (deaths < times) {
        assert_true(__real_spawn_mono_ms() < end);
        turn();
    }
}

static void until_answered(unsigned times)
{
    int64_t end = __real_spawn_mono_ms() + DEADLINE_MS;

    while (answers < times) {
        assert_true(__real_spawn_mono_ms() < end);
        turn();
    }
}

static void nothing_waits_for_it_after_some_deaths(void **state)
{
    const spawn_ledger_record end = {.type = SPAWN_LEDGER_END},
                              order = {.type = SPAWN_LEDGER_ORDER};

    (void)state;
    spawn_scribe_open("/nowhere", &events);
    spawn_scribe_send(&end, NULL, NULL);
    until_answered(1);
    assert_int_equal(rows_ends, 1);
    spawn_scribe_send(&order, NULL, NULL);
    until_dead(DEATHS_MOST - 1);
    assert_false(spawn_scribe_idle());
    until_dead(DEATHS_MOST);
    assert_true(spawn_scribe_idle());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_for_it_after_some_deaths),
    };

    if (argc > 1 && strcmp(argv[1], SPAWN_SCRIBE_ARGUMENT) == 0)
        serve();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
