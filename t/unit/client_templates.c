/* SPDX-License-Identifier: Apache-2.0 */
/* TEMPLATES: each row is told once, in its order, and only when all have come;
 * what is refused or too late is told as an error, without a row. */
#include "t/unit/fake_broker.h"

#define ROWS 77

static fake_broker broker;
static spawn_client *client;
static spawn_failure why;
static unsigned rows_seen;

static void send_row(int sock, uint32_t seq, unsigned n)
{
    uint8_t room[512];
    spawn_writer out;

    spawn_writer_init_fixed(&out, room, sizeof(room));
    spawn_writer_begin(&out, SPAWN_M_PROCESS, seq);
    spawn_put_str(&out, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&out, SPAWN_A_PROCESS_STATE, SPAWN_PROCESS_READY);
    spawn_put_u64(&out, SPAWN_A_PID, n);
    fake_send(sock, &out);
}

static void send_end(int sock, uint32_t seq, unsigned rows)
{
    uint8_t room[128];
    spawn_writer out;

    spawn_writer_init_fixed(&out, room, sizeof(room));
    spawn_writer_begin(&out, SPAWN_M_END, seq);
    spawn_put_u64(&out, SPAWN_A_ROWS, rows);
    fake_send(sock, &out);
}

/* Dies in the middle of the first answer, and answers the second whole. */
static bool dies_once(fake_broker *f, int sock, const spawn_message *m)
{
    unsigned n;

    if (m->header.type != SPAWN_M_TEMPLATES)
        return false;
    for (n = 1; n <= ROWS; n++) {
        send_row(sock, m->header.seq, n);
        if (atomic_load(&f->requests) == 1 && n == 40)
            return false;
    }
    send_end(sock, m->header.seq, ROWS);
    return true;
}

static bool has_none(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    send_end(sock, m->header.seq, 0);
    return true;
}

static bool refuses_in_the_middle(fake_broker *f, int sock,
                                  const spawn_message *m)
{
    (void)f;
    send_row(sock, m->header.seq, 1);
    fake_refuse(sock, m, SPAWN_E_STOPPING, "no more");
    return true;
}

static bool never_ends(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    send_row(sock, m->header.seq, 1);
    return true;
}

static void row(void *arg, const spawn_message *m)
{
    assert_ptr_equal(arg, &rows_seen);
    assert_int_equal(m->header.type, SPAWN_M_PROCESS);
    assert_string_equal(spawn_str_or(m, SPAWN_A_TEMPLATE, ""), "app");
    assert_int_equal(spawn_u64_or(m, SPAWN_A_PID, 0), ++rows_seen);
}

static int ask(fake_serve serve, uint32_t timeout_ms)
{
    int rv;

    rows_seen = 0;
    memset(&why, 0, sizeof(why));
    fake_start(&broker, serve);
    client = fake_client(broker.path, -1, timeout_ms);
    rv = spawn_client_templates(client, row, &rows_seen, &why);
    spawn_client_close(client);
    fake_stop(&broker);
    return rv;
}

static void a_broken_answer_is_asked_for_again(void **state)
{
    (void)state;
    assert_int_equal(ask(dies_once, 5000), 0);
    assert_int_equal(rows_seen, ROWS);
    assert_int_equal(atomic_load(&broker.requests), 2);
}

static void none_is_none(void **state)
{
    (void)state;
    assert_int_equal(ask(has_none, 5000), 0);
    assert_int_equal(rows_seen, 0);
}

static void a_refusal_is_told_without_rows(void **state)
{
    (void)state;
    assert_int_equal(ask(refuses_in_the_middle, 5000), -1);
    assert_int_equal(why.code, SPAWN_E_STOPPING);
    assert_string_equal(why.text, "no more");
    assert_int_equal(rows_seen, 0);
}

static void an_answer_without_end_is_late(void **state)
{
    (void)state;
    assert_int_equal(ask(never_ends, 200), -1);
    assert_int_equal(why.code, SPAWN_E_DEADLINE);
    assert_int_equal(rows_seen, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_answer_is_asked_for_again),
        cmocka_unit_test(none_is_none),
        cmocka_unit_test(a_refusal_is_told_without_rows),
        cmocka_unit_test(an_answer_without_end_is_late),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
