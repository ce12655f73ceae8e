/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's board is read once in a look, however many callers watch it, and each
 * of them is told of a change. Links watcher.c and the rooms base and job of
 * the broker; boards and connections are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_os.h"
#include "common/spawn_seen.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/process/perl.h"
#include "broker/caller/ask.h"
#include "broker/caller/watcher.h"

static spawn_batch batch;
static spawn_peer peer;
static unsigned reads, told, refused;
static const char *says;

/* ---- what is played ---- */

static int64_t clock_ms = 1000;

int64_t __wrap_spawn_mono_ms(void);
int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

bool spawn_perl_progress(const spawn_job *job, spawn_progress *ret)
{
    (void)job;
    memset(ret, 0, sizeof(*ret));
    (void)strcpy(ret->text, says);
    reads++;
    return true;
}

void spawn_peer_ask_job(spawn_peer *p, uint32_t seq, const spawn_id *id,
                        unsigned output)
{
    (void)p, (void)seq, (void)id, (void)output;
    told++;
}

void spawn_peer_refuse(spawn_peer *p, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why)
{
    (void)p, (void)seq, (void)id;
    assert_int_equal(why->code, SPAWN_E_TIMED_OUT);
    refused++;
}

/* ---- jobs ---- */

static spawn_perl perls[2];
static spawn_job *jobs[2];

static uint64_t seen(const spawn_job *job, const char *text)
{
    const char *texts[] = {"", "", text};

    return spawn_seen(SPAWN_STATE_RUNNING, job->attempt, texts);
}

static void watches(unsigned which, const char *text, uint64_t wait_ms)
{
    uint8_t room[128];
    spawn_message m;
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WATCH, 1);
    spawn_put_id(&w, SPAWN_A_ID, &jobs[which]->id);
    spawn_put_u64(&w, SPAWN_A_SEEN, seen(jobs[which], text));
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, wait_ms);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, NULL),
        0);
    spawn_request_watch(&peer, &m, NULL, &jobs[which]->id);
}

static void look(void)
{
    reads = told = refused = 0;
    clock_ms = spawn_timer_next();
    spawn_timers_run(clock_ms);
}

static int setup(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        spawn_id id;

        assert_int_equal(spawn_id_make(&id), 0);
        jobs[i] = spawn_job_new(&batch, &id);
        jobs[i]->state = SPAWN_STATE_RUNNING;
        jobs[i]->perl = &perls[i];
    }
    says = "one";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spawn_watches_leave(&peer);
    return 0;
}

static void a_board_is_read_once(void **state)
{
    (void)state;
    watches(0, "one", 600000);
    watches(0, "one", 600000);
    watches(0, "one", 600000);
    look();
    assert_int_equal(reads, 1);
    assert_int_equal(told, 0);
    watches(1, "one", 600000);
    look();
    assert_int_equal(reads, 2);
    says = "two";
    look();
    assert_int_equal(reads, 2);
    assert_int_equal(told, 4);
}

static void who_has_seen_another_is_told_alone(void **state)
{
    (void)state;
    watches(0, "one", 600000);
    watches(0, "before", 600000);
    look();
    assert_int_equal(reads, 1);
    assert_int_equal(told, 1);
    assert_int_equal(refused, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_board_is_read_once), WITH(who_has_seen_another_is_told_alone)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
