/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A turn answers questions up to so many bytes, and the others in the next
 * turns, each caller in its order. Links ask.c, unread.c and the rooms base and
 * job of the broker; the store and the connections are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/process/perl.h"
#include "broker/store/commit.h"
#include "broker/store/job_message.h"
#include "broker/store/store.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"

#define CALLERS 20
#define MB      ((size_t)1 << 20)
#define A_TURN  4 /* MB */

static spawn_batch batch;
static spawn_peer peers[CALLERS];
static unsigned got[CALLERS]; /* answers */

/* ---- what is played ---- */

int spawn_store_answer(spawn_store *store, const spawn_id *id, bool with_output,
                       const uint64_t *from, uint32_t asked, spawn_writer *ret)
{
    static uint8_t value[MB];

    (void)store, (void)id, (void)with_output, (void)from;
    spawn_writer_begin(ret, SPAWN_M_JOB, asked);
    spawn_put_bytes(ret, SPAWN_A_RESULT, value, sizeof(value));
    (void)spawn_writer_finish(ret, 0);
    return 1;
}

void spawn_peer_send_end(spawn_peer *peer, const spawn_writer *w,
                         const spawn_id *run)
{
    (void)w, (void)run;
    got[peer - peers]++;
}

void spawn_peer_send(spawn_peer *peer, const spawn_writer *w)
{
    spawn_peer_send_end(peer, w, NULL);
}

void spawn_peer_refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why)
{
    (void)peer, (void)seq, (void)id, (void)why;
    fail();
}

void spawn_peer_watch_what(spawn_peer *peer)
{
    (void)peer;
}

int spawn_store_answer_list(spawn_store *store, spawn_list_filter *filter,
                            uint32_t asked, spawn_writer *ret)
{
    (void)store, (void)filter, (void)asked, (void)ret;
    return 0;
}

uint64_t spawn_store_count_dead(spawn_store *store,
                                const spawn_list_filter *filter)
{
    (void)store, (void)filter;
    return 0;
}

int spawn_answer_job(const spawn_job *job, bool with_output,
                     const uint64_t *from, uint32_t asked, spawn_writer *w)
{
    (void)job, (void)with_output, (void)from, (void)asked, (void)w;
    return 0;
}

bool spawn_perl_has_returned(const spawn_job *job)
{
    (void)job;
    return false;
}

bool spawn_commit_failing(const spawn_store *store)
{
    (void)store;
    return false;
}

const spawn_queue *spawn_access_queue(const spawn_peer *peer, const char *name,
                                      spawn_failure *why)
{
    (void)peer, (void)name, (void)why;
    return NULL;
}

int spawn_access_check_job(const spawn_peer *peer, const spawn_id *id,
                           unsigned right, spawn_failure *why)
{
    (void)peer, (void)id, (void)right, (void)why;
    return 0;
}

void spawn_rows_free(spawn_row *rows)
{
    (void)rows;
}

/* ---- callers ---- */

static void asks(spawn_peer *peer)
{
    spawn_ask *ask = spawn_alloc(sizeof(*ask));

    ask->output = SPAWN_OUTPUT_WANTED;
    spawn_peer_ask(peer, ask);
}

static int set_up(void **state)
{
    int i;

    (void)state;
    memset(peers, 0, sizeof(peers));
    memset(got, 0, sizeof(got));
    for (i = 0; i < CALLERS; i++) {
        peers[i].batch = &batch;
        peers[i].asks_last = &peers[i].asks;
        peers[i].out_last = &peers[i].out;
    }
    return 0;
}

static int tear_down(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < CALLERS; i++)
        spawn_peer_drop_asks(&peers[i]);
    return 0;
}

static unsigned all(void)
{
    unsigned i, sum = 0;

    for (i = 0; i < CALLERS; i++)
        sum += got[i];
    return sum;
}

static void a_turn_answers_so_much(void **state)
{
    unsigned i, turns = 0;

    (void)state;
    for (i = 0; i < CALLERS; i++)
        asks(&peers[i]);
    while (all() < CALLERS) {
        unsigned before = all();

        spawn_peers_serve();
        assert_in_range(all() - before, 1, A_TURN + 1);
        for (i = 0; i < CALLERS; i++)
            assert_int_equal(got[i], i < all()); /* in their order */
        turns++;
    }
    assert_in_range(turns, CALLERS / (A_TURN + 1), CALLERS);
}

/* One caller with many questions does not hold up the others for ever. */
static void so_does_it_of_one_caller(void **state)
{
    unsigned i, turns;

    (void)state;
    for (i = 0; i < CALLERS; i++)
        asks(&peers[0]);
    asks(&peers[1]);
    spawn_peers_serve();
    assert_in_range(got[0], 1, A_TURN + 1);
    for (turns = 0; got[1] == 0; turns++) {
        assert_true(turns < 2);
        spawn_peers_serve();
    }
    assert_true(got[0] < CALLERS);
}

/* Answers beside (a job ends, a caller can take more) count, too. */
static void others_are_asked_to_wait(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    (void)spawn_id_make(&id);
    for (i = 0; i < CALLERS && spawn_peer_has_room(&peers[i]); i++)
        spawn_peer_job(&peers[i], 1, &id, SPAWN_OUTPUT_WANTED, NULL);
    assert_in_range(all(), 1, A_TURN + 1);
    spawn_peers_serve();
    assert_true(spawn_peer_has_room(&peers[i]));
}

static void who_closes_waits_no_more(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < CALLERS; i++)
        asks(&peers[i]);
    spawn_peers_serve();
    i = all();
    assert_true(i + 1 < CALLERS);
    peers[i].watch.fd = -1;
    spawn_peer_drop_asks(&peers[i]);
    memset(&peers[i], 0xff, sizeof(peers[i])); /* it is freed */
    spawn_peers_serve();
    assert_int_equal(got[i], 0);
    assert_int_equal(got[i + 1], 1);
    memset(&peers[i], 0, sizeof(peers[i]));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_turn_answers_so_much), ALONE(so_does_it_of_one_caller),
        ALONE(others_are_asked_to_wait), ALONE(who_closes_waits_no_more)};

    return cmocka_run_group_tests_name("ask_turns", tests, NULL, NULL);
}
