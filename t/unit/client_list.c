/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIST: pages are followed to the end, each row is told once; also where the
 * broker has looked at as much as it may and found nothing. One that goes on
 * from the same place is not asked for ever. When its time is over it ends
 * between two pages, and goes on by the next call. A broker of an older
 * release, which does not know of shortened arguments, is asked for whole ones.
 */
#include "t/unit/fake_broker.h"

#define JOBS 250

static fake_broker broker;
static spawn_client *client;
static spawn_writer w;
static spawn_failure why;
static unsigned rows_seen;
static uint64_t last_seen;
static unsigned stop_after;

/* Jobs with SEQ JOBS down to 1; dies once in the middle of the second page. */
static bool lists(fake_broker *f, int sock, const spawn_message *m)
{
    uint64_t before = spawn_u64_or(m, SPAWN_A_BEFORE, JOBS + 1);
    uint64_t rows = spawn_u64_or(m, SPAWN_A_ROWS, 0);
    uint64_t told = 0;
    spawn_writer out;
    uint8_t room[512];
    spawn_id id = {{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80}};

    spawn_writer_init_fixed(&out, room, sizeof(room));
    while (told < rows && before > 1) {
        before--;
        told++;
        spawn_writer_begin(&out, SPAWN_M_JOB, m->header.seq);
        spawn_put_id(&out, SPAWN_A_ID, &id);
        spawn_put_u64(&out, SPAWN_A_SEQ, before);
        spawn_put_u64(&out, SPAWN_A_STATE, SPAWN_STATE_QUEUED);
        spawn_put_str(&out, SPAWN_A_QUEUE, "default");
        fake_send(sock, &out);
        if (atomic_load(&f->requests) == 2 && told == 20)
            return false;
    }
    spawn_writer_begin(&out, SPAWN_M_END, m->header.seq);
    spawn_put_u64(&out, SPAWN_A_ROWS, told);
    if (before > 1)
        spawn_put_u64(&out, SPAWN_A_BEFORE, before);
    fake_send(sock, &out);
    return true;
}

/* Each answer ends without a row, ten jobs further, until the last ten. */
static bool looks(fake_broker *f, int sock, const spawn_message *m)
{
    uint64_t before = spawn_u64_or(m, SPAWN_A_BEFORE, 50);
    spawn_writer out;
    uint8_t room[512];

    if (before <= 10)
        return lists(f, sock, m);
    spawn_writer_init_fixed(&out, room, sizeof(room));
    spawn_writer_begin(&out, SPAWN_M_END, m->header.seq);
    spawn_put_u64(&out, SPAWN_A_ROWS, 0);
    spawn_put_u64(&out, SPAWN_A_BEFORE, before - 10);
    fake_send(sock, &out);
    return true;
}

static bool stands_still(fake_broker *f, int sock, const spawn_message *m)
{
    spawn_writer out;
    uint8_t room[512];

    (void)f;
    spawn_writer_init_fixed(&out, room, sizeof(room));
    spawn_writer_begin(&out, SPAWN_M_END, m->header.seq);
    spawn_put_u64(&out, SPAWN_A_ROWS, 0);
    spawn_put_u64(&out, SPAWN_A_BEFORE, 20);
    fake_send(sock, &out);
    return true;
}

static bool is_older(fake_broker *f, int sock, const spawn_message *m)
{
    if (!spawn_has(m, SPAWN_A_ARGV_MOST))
        return lists(f, sock, m);
    fake_refuse(sock, m, SPAWN_E_PROTOCOL, "not known");
    return true;
}

static bool row(void *arg, const spawn_message *job)
{
    uint64_t seq = spawn_u64_or(job, SPAWN_A_SEQ, 0);

    (void)arg;
    rows_seen++;
    assert_true(last_seen == 0 || seq == last_seen - 1);
    last_seen = seq;
    return rows_seen != stop_after;
}

static int setup(void **state)
{
    (void)state;
    fake_start(&broker, lists);
    client = fake_client(broker.path, -1, 5000);
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    rows_seen = stop_after = 0;
    last_seen = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
    return 0;
}

static void all_pages_are_told_once(void **state)
{
    (void)state;
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(rows_seen, JOBS);
    assert_int_equal(last_seen, 1);
}

static void rows_limits_the_whole(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_ROWS, 130);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(rows_seen, 130);
}

static void row_can_stop_early(void **state)
{
    (void)state;
    stop_after = 3;
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(rows_seen, 3);
    assert_int_equal(atomic_load(&broker.requests), 1);
}

static void what_was_looked_at_is_gone_on_from(void **state)
{
    spawn_list_place place = {.more = true};

    (void)state;
    atomic_store(&broker.serve, looks);
    spawn_put_u64(&w, SPAWN_A_LOOKS, 10);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_list_page(client, &w, &place, row, NULL, &why), 0);
    assert_true(place.more && place.looked);
    assert_int_equal(place.before, 40);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(rows_seen, 9);
    assert_int_equal(last_seen, 1);
}

static void a_list_ends_at_its_time(void **state)
{
    spawn_list_place place = {.more = true};

    (void)state;
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list_until(client, &w, &place,
                                             spawn_mono_ms() - 1, row, NULL,
                                             &why),
                     0);
    assert_int_equal(rows_seen, 100);
    assert_int_equal(atomic_load(&broker.requests), 1);
    assert_true(place.more && !place.looked);
    assert_int_equal(place.before, JOBS - 99);
    assert_int_equal(
        spawn_client_list_until(client, &w, &place, INT64_MAX, row, NULL, &why),
        0);
    assert_int_equal(rows_seen, JOBS);
    assert_false(place.more);
}

static void a_list_that_stands_still_ends(void **state)
{
    (void)state;
    atomic_store(&broker.serve, stands_still);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(atomic_load(&broker.requests), 2);
}

static void an_older_broker_is_asked_for_whole_arguments(void **state)
{
    (void)state;
    atomic_store(&broker.serve, is_older);
    spawn_put_u64(&w, SPAWN_A_ROWS, 10);
    spawn_put_u64(&w, SPAWN_A_ARGV_MOST, 10);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_client_list(client, &w, row, NULL, &why), 0);
    assert_int_equal(rows_seen, 10);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(all_pages_are_told_once),
        WITH(rows_limits_the_whole),
        WITH(row_can_stop_early),
        WITH(what_was_looked_at_is_gone_on_from),
        WITH(a_list_ends_at_its_time),
        WITH(a_list_that_stands_still_ends),
        WITH(an_older_broker_is_asked_for_whole_arguments),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
