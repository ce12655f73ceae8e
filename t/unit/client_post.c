/* SPDX-License-Identifier: Apache-2.0 */
/* Posting: one packet into the post socket, nothing else. */
#include "t/unit/fake_broker.h"

static fake_broker broker;
static spawn_client *client;
static spawn_writer w;
static spawn_id id;
static spawn_failure why;
static int post[2];
static uint64_t seen_reply;

static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    seen_reply = spawn_u64_or(m, SPAWN_A_REPLY, 99);
    fake_accept(sock, m, m->header.seq);
    return true;
}

static int setup(void **state)
{
    (void)state;
    fake_start(&broker, accepts);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, post), 0);
    client = fake_client(broker.path, post[0], 200);
    fake_submit(&w, &id, SPAWN_REPLY_POSTED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    spawn_client_close(client);
    (void)close(post[0]);
    (void)close(post[1]);
    fake_stop(&broker);
    return 0;
}

static void goes_to_the_post_socket(void **state)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_answer answer;
    spawn_message m;
    spawn_packet p;
    spawn_id got;

    (void)state;
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, &answer, &why), 0);
    assert_int_equal(answer.message.header.type, 0);
    spawn_answer_free(&answer);
    assert_int_equal(atomic_load(&broker.hellos), 0);
    assert_int_equal(spawn_packet_receive(post[1], buffer, sizeof(buffer), &p),
                     1);
    assert_int_not_equal(spawn_seq_cpu(w.data[8] | w.data[9] << 8
                                       | w.data[10] << 16
                                       | (uint32_t)w.data[11] << 24),
                         0);
    assert_int_equal(
        spawn_message_parse(p.data, p.length, SPAWN_FROM_POST, 0, &m, &why), 0);
    assert_int_equal(m.header.type, SPAWN_M_POST);
    spawn_attr_id(&m.attr[SPAWN_A_ID], &got);
    assert_true(spawn_id_equal(&got, &id));
    spawn_packet_close(&p);
}

/* Descriptors cannot be posted: the job becomes an accepted one. */
static void with_a_descriptor_it_is_submitted(void **state)
{
    spawn_stdio s = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_answer answer;
    int fd = 0;

    (void)state;
    spawn_put_stdio(&w, SPAWN_A_STDIN, &s);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, &fd, 1, 0, NULL, &answer, &why), 0);
    assert_int_equal(answer.message.header.type, SPAWN_M_ACCEPTED);
    assert_int_equal(seen_reply, SPAWN_REPLY_ACCEPTED);
    spawn_answer_free(&answer);
}

static void too_big_for_a_packet_it_is_submitted(void **state)
{
    static uint8_t data[SPAWN_INLINE_MAX + 1];
    spawn_stdio s = {SPAWN_STDIO_DATA, 0, 0, ""};

    (void)state;
    spawn_put_stdio(&w, SPAWN_A_STDIN, &s);
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(seen_reply, SPAWN_REPLY_ACCEPTED);
}

/* ---- with a spool ---- */

static unsigned spooled;
static size_t spooled_length;
static int spool_says;

static int keep(const uint8_t *given, const void *message, size_t length)
{
    spawn_message m;

    assert_memory_equal(given, id.bytes, SPAWN_ID_SIZE);
    assert_int_equal(
        spawn_message_parse(message, length, SPAWN_FROM_CALLER, 0, &m, &why),
        0);
    assert_int_equal(m.header.type, SPAWN_M_SUBMIT);
    assert_int_equal(spawn_u64_or(&m, SPAWN_A_REPLY, 99), SPAWN_REPLY_POSTED);
    spooled++;
    spooled_length = length;
    return spool_says;
}

static void with_a_spool(int says)
{
    spawn_endpoint e = {broker.path, NULL, post[0], "test", 100, keep};

    spawn_client_close(client);
    assert_int_equal(spawn_client_open(&e, &client), 0);
    spooled = 0;
    spool_says = says;
}

static void make_big(void)
{
    static uint8_t data[SPAWN_INLINE_MAX + 1];
    spawn_stdio s = {SPAWN_STDIO_DATA, 0, 0, ""};

    spawn_put_stdio(&w, SPAWN_A_STDIN, &s);
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
}

static void too_big_for_a_packet_it_goes_to_the_spool(void **state)
{
    spawn_answer answer;

    (void)state;
    with_a_spool(0);
    make_big();
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, &answer, &why), 0);
    assert_int_equal(answer.message.header.type, 0);
    spawn_answer_free(&answer);
    assert_int_equal(spooled, 1);
    assert_int_equal(spooled_length, w.length);
    assert_int_equal(atomic_load(&broker.hellos), 0);
}

static void what_the_spool_does_not_take_is_submitted(void **state)
{
    (void)state;
    with_a_spool(-ENOSPC);
    make_big();
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(spooled, 1);
    assert_int_equal(seen_reply, SPAWN_REPLY_ACCEPTED);
}

static void full_socket_is_followed_by_the_spool(void **state)
{
    int i;

    (void)state;
    with_a_spool(0);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    for (i = 0; i < 100000 && spooled == 0; i++)
        assert_int_equal(
            spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(spooled, 1);
    spool_says = -ENOSPC;
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_QUEUE_FULL);
}

static void without_a_receiver_it_goes_to_the_spool(void **state)
{
    (void)state;
    with_a_spool(0);
    (void)shutdown(post[1], SHUT_RDWR);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(spooled, 1);
}

static void bad_field_is_never_posted(void **state)
{
    char byte;

    (void)state;
    spawn_put_u64(&w, SPAWN_A_UMASK, 07777);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_INVALID);
    assert_int_equal(recv(post[1], &byte, 1, MSG_DONTWAIT), -1);
}

static void full_socket_is_told_at_the_deadline(void **state)
{
    int64_t before;
    int i;

    (void)state;
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    for (i = 0; i < 100000; i++) {
        before = spawn_mono_ms();
        if (spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why))
            break;
    }
    assert_true(i > 10 && i < 100000);
    assert_int_equal(why.code, SPAWN_E_QUEUE_FULL);
    assert_int_equal(why.step, SPAWN_STEP_SEND);
    assert_non_null(strstr(why.text, "post socket"));
    assert_true(spawn_mono_ms() - before >= 200);
}

static void no_receiver_is_unreachable(void **state)
{
    (void)state;
    (void)shutdown(post[1], SHUT_RDWR);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNREACHABLE);
    assert_int_equal(why.error, EPIPE);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(goes_to_the_post_socket),
        WITH(with_a_descriptor_it_is_submitted),
        WITH(too_big_for_a_packet_it_is_submitted),
        WITH(bad_field_is_never_posted),
        WITH(full_socket_is_told_at_the_deadline),
        WITH(no_receiver_is_unreachable),
        WITH(too_big_for_a_packet_it_goes_to_the_spool),
        WITH(what_the_spool_does_not_take_is_submitted),
        WITH(full_socket_is_followed_by_the_spool),
        WITH(without_a_receiver_it_goes_to_the_spool),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
