/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of accounts in the spawner, without its process: what of a
 * configuration is taken and what not, and what an order is given of it.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

static uid_t we;          /* our account */
static bool no_memory;    /* is left */
static size_t asked;      /* bytes, the last time */
static unsigned held_now; /* pieces of memory */

static void *play_malloc(size_t bytes)
{
    asked = bytes;
    held_now += !no_memory;
    return no_memory ? NULL : malloc(bytes);
}

static void play_free(void *p)
{
    held_now -= p != NULL;
    free(p);
}

static template_note *note_there; /* of every template */

bool template_note_has_groups(const template_note *n, const spawn_identity *its)
{
    (void)n;
    (void)its;
    return true;
}

template_note *template_note_of(const job *template)
{
    (void)template;
    return note_there;
}

#define geteuid() we
#define malloc    play_malloc
#define free      play_free
#include "spawner/accounts.c"
#undef malloc
#undef free
#include "spawner/table.c"

/* ---- configurations ---- */

static spawn_writer w;

static void begin_list(void)
{
    spawn_writer_free(&w);
    begin(&w, SPAWN_M_CONFIGURE);
}

static void add_names_of(uint16_t attr, const char *prefix, unsigned count)
{
    size_t mark = spawn_open_strv(&w, attr);
    char name[16];
    unsigned i;

    for (i = count; i > 0; i--) { /* not in their order */
        (void)snprintf(name, sizeof(name), "%s%02u", prefix, i - 1);
        spawn_add_text(&w, mark, name, strlen(name));
    }
    spawn_close(&w, mark);
}

static void add_account(uint64_t uid, uint64_t gid, unsigned queues,
                        unsigned templates)
{
    const uint64_t groups[] = {gid + 1, gid + 2};
    size_t mark = spawn_open_nest(&w, SPAWN_A_ACCOUNT);
    char prefix[8];

    spawn_put_u64(&w, SPAWN_A_UID, uid);
    spawn_put_u64(&w, SPAWN_A_GID, gid);
    spawn_put_u64v(&w, SPAWN_A_GROUPS, groups, 2);
    (void)snprintf(prefix, sizeof(prefix), "q%u-", (unsigned)uid % 10);
    if (queues)
        add_names_of(SPAWN_A_QUEUE_NAMES, prefix, queues);
    prefix[0] = 't';
    if (templates)
        add_names_of(SPAWN_A_TEMPLATE_NAMES, prefix, templates);
    spawn_close(&w, mark);
}

static int read_it(accounts **ret)
{
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    return accounts_read(w.data + SPAWN_WIRE_HEADER,
                         w.length - SPAWN_WIRE_HEADER, ret);
}

static void is_refused(int error)
{
    accounts *list = (accounts *)&w;

    assert_int_equal(read_it(&list), error);
    assert_ptr_equal(list, &w);
    assert_int_equal(held_now, 0);
}

/* ---- orders ---- */

static spawn_message m;

static const spawn_message *order_of(uint16_t attr, const char *name,
                                     const spawn_id *template)
{
    static spawn_writer o;
    const spawn_id id = {{9}};
    size_t mark;

    spawn_writer_free(&o);
    begin(&o, SPAWN_M_LAUNCH);
    spawn_put_id(&o, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&o, SPAWN_A_ARGV);
    spawn_add_text(&o, mark, "x", 1);
    spawn_close(&o, mark);
    mark = spawn_open_strv(&o, SPAWN_A_ENV);
    spawn_close(&o, mark);
    spawn_put_str(&o, attr, name);
    if (attr == SPAWN_A_TEMPLATE)
        spawn_put_u64(&o, SPAWN_A_IS_TEMPLATE, 1);
    if (template)
        spawn_put_id(&o, SPAWN_A_TEMPLATE_ID, template);
    assert_int_equal(spawn_writer_finish(&o, 0), 0);
    assert_int_equal(spawn_message_parse(o.data, o.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 0, &m,
                                         NULL),
                     0);
    return &m;
}

#define OF_QUEUE(name)    order_of(SPAWN_A_QUEUE, name, NULL)
#define OF_TEMPLATE(name) order_of(SPAWN_A_TEMPLATE, name, NULL)

static void has(const spawn_message *order, uid_t uid)
{
    const spawn_identity *its = accounts_of(order);

    assert_non_null(its);
    assert_int_equal(its->uid, uid);
    assert_int_equal(its->gid, uid * 100);
    assert_int_equal(its->groups_count, 2);
    assert_int_equal(its->groups[0], uid * 100 + 1);
    assert_int_equal(its->groups[1], uid * 100 + 2);
}

static int start(void **state)
{
    (void)state;
    no_state();
    we = 0;
    no_memory = false;
    note_there = NULL;
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    read_log();
    return table_init();
}

static int stop(void **state)
{
    (void)state;
    accounts_use(NULL);
    spawn_writer_free(&w);
    return held_now == 0 ? 0 : -1;
}

/* ---- tests ---- */

static void each_name_has_its_account(void **state)
{
    accounts *list = NULL;
    char name[16];
    unsigned i;

    (void)state;
    begin_list();
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/none");
    add_account(11, 1100, 20, 3);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, "/none");
    add_account(12, 1200, 0, 0);
    add_account(13, 1300, 7, 20);
    assert_int_equal(read_it(&list), 0);
    assert_int_equal(asked, sizeof(accounts) + 3 * sizeof(account)
                                + 50 * sizeof(entry));
    accounts_use(list);
    for (i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "q1-%02u", i);
        has(OF_QUEUE(name), 11);
        assert_null(accounts_of(OF_TEMPLATE(name)));
        (void)snprintf(name, sizeof(name), "t3-%02u", i);
        has(OF_TEMPLATE(name), 13);
        assert_null(accounts_of(OF_QUEUE(name)));
    }
    for (i = 0; i < 7; i++) {
        (void)snprintf(name, sizeof(name), "q3-%02u", i);
        has(OF_QUEUE(name), 13);
    }
    has(OF_TEMPLATE("t1-02"), 11);
    assert_null(accounts_of(OF_TEMPLATE("t1-03")));
    assert_null(accounts_of(OF_QUEUE("q3-07")));
    for (i = 0; i < 20; i++)
        assert_int_equal(accounts_has(i), i == 11 || i == 12 || i == 13);
}

static void the_next_list_takes_the_place_of_the_last(void **state)
{
    accounts *list = NULL;

    (void)state;
    begin_list();
    add_account(11, 1100, 2, 0);
    assert_int_equal(read_it(&list), 0);
    accounts_use(list);
    assert_int_equal(held_now, 1);
    begin_list();
    add_account(13, 1300, 2, 0);
    assert_int_equal(read_it(&list), 0);
    accounts_use(list);
    assert_int_equal(held_now, 1);
    assert_null(accounts_of(OF_QUEUE("q1-00")));
    has(OF_QUEUE("q3-01"), 13);
    /* none is a list, too */
    begin_list();
    assert_int_equal(read_it(&list), 0);
    assert_null(list);
    accounts_use(list);
    assert_int_equal(held_now, 0);
    spawner.job_as.uid = 4711;
    assert_ptr_equal(accounts_of(OF_QUEUE("q3-01")), &spawner.job_as);
    assert_false(accounts_has(13));
}

static void what_cannot_be_an_account_is_refused(void **state)
{
    accounts *list = NULL;

    (void)state;
    begin_list();
    add_account(11, UINT32_MAX, 1, 1);
    is_refused(-EINVAL);
    begin_list();
    add_account(UINT32_MAX, 11, 1, 1);
    is_refused(-EINVAL);
    begin_list();
    add_account(11, 1ull << 32, 1, 1);
    is_refused(-EINVAL);
    begin_list();
    add_account(11, 1100, 1, 1);
    add_account(0, 1100, 1, 1);
    is_refused(-EPERM);
    expect_no_line();
    begin_list();
    add_account(UINT32_MAX - 1, UINT32_MAX - 1, 1, 1);
    assert_int_equal(read_it(&list), 0);
    accounts_use(list);
    assert_true(accounts_has(UINT32_MAX - 1));
}

static void accounts_need_the_right_to_them_and_memory(void **state)
{
    accounts *list = (accounts *)&w;

    (void)state;
    begin_list();
    add_account(11, 1100, 1, 1);
    we = 33;
    is_refused(-EPERM);
    expect_logged("MS0370: the spawner runs as uid 33, and cannot give jobs "
                  "other accounts");
    begin_list(); /* none can be had */
    assert_int_equal(read_it(&list), 0);
    assert_null(list);
    expect_no_line();
    we = 0;
    no_memory = true;
    begin_list();
    add_account(11, 1100, 1, 1);
    is_refused(-ENOMEM);
}

/* One that another account had started is not asked for it. */
static void without_a_list_no_order_is_refused(void **state)
{
    template_note n = {.uid = 4711, .gid = 4712};
    const spawn_id id = {{1}};
    int error = 7;

    (void)state;
    note_there = &n;
    (void)table_add(&id);
    assert_int_equal(
        accounts_refuse(&id, order_of(SPAWN_A_QUEUE, "q", &id), &error),
        SPAWN_STEP_NONE);
    assert_int_equal(error, 7);
    expect_no_line();
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_name_has_its_account),
        T(the_next_list_takes_the_place_of_the_last),
        T(what_cannot_be_an_account_is_refused),
        T(accounts_need_the_right_to_them_and_memory),
        T(without_a_list_no_order_is_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_account_list", tests, NULL,
                                       NULL);
}
