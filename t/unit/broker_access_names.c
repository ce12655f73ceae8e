/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in a refusal: an account that SpawnAccess lets in reads there of no
 * queue and of no template that it has nothing to do with. The log names them.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

/* Why it is refused. */
static const char *refused(spawn_writer *w)
{
    ask(w);
    expect_answer(SPAWN_M_REFUSED);
    return spawn_str_or(&message, SPAWN_A_TEXT, "");
}

static const char *of_queue(uint16_t type, const char *queue, bool change)
{
    spawn_writer w;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    if (type == SPAWN_M_SUBMIT)
        begin_submit(&w, &id, "/bin/true");
    else
        begin(&w, type, NULL);
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (type == SPAWN_M_QUEUES)
        spawn_put_u64(&w, SPAWN_A_QUEUE_DO,
                      change ? SPAWN_QUEUE_PAUSE : SPAWN_QUEUE_LIST);
    return refused(&w);
}

static void queues_that_it_has_nothing_to_do_with_are_not_listed(void **state)
{
    static const char text[] =
        "queue 'nowhere' is not configured; configured: default, other";

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_ALL);
    say_of("hidden", OTHER, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    assert_string_equal(of_queue(SPAWN_M_LIST, "nowhere", false),
                        "queue 'nowhere' is not configured; configured: "
                        "default, other, hidden");
    backup_comes();
    assert_string_equal(of_queue(SPAWN_M_LIST, "nowhere", false), text);
    assert_string_equal(of_queue(SPAWN_M_QUEUES, "nowhere", false), text);
    assert_string_equal(of_queue(SPAWN_M_QUEUES, "nowhere", true), text);
    assert_string_equal(of_queue(SPAWN_M_SUBMIT, "nowhere", false), text);
}

static void put_a_template_of_no_queue(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);

    spawn_put_str(w, SPAWN_A_TEMPLATE, "lone");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_PARENT);
    spawn_close(w, mark);
    put_said(w);
}

static const char *of_template(void)
{
    spawn_writer w;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    begin(&w, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&w, SPAWN_A_QUEUE, "other");
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "nothing");
    return refused(&w);
}

static void nor_are_templates(void **state)
{
    NEEDS_ROOT;
    more_rules = put_a_template_of_no_queue;
    say_of("other", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    assert_string_equal(of_template(),
                        "template 'nothing' is not configured; configured: "
                        "lone");
    backup_comes();
    assert_string_equal(of_template(), "template 'nothing' is not configured");
}

static const char *of_job(uint16_t type, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, type, id);
    return refused(&w);
}

static void nor_is_the_queue_of_a_job(void **state)
{
    spawn_writer w;
    spawn_id id;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&id), 0);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "hidden");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    backup_comes();
    assert_string_equal(of_job(SPAWN_M_GET, &id),
                        "uid 61001 (backup) has not the right 'see' in the "
                        "queue of this job: SpawnAccess of httpd.conf gives it "
                        "nothing there");
    wait_until_logged("has not the right 'see' in queue 'hidden'", 1);
    assert_null(strstr(of_job(SPAWN_M_KILL, &id), "hidden"));
    /* it knows that one */
    said[0] = (access_rule){"hidden", BACKUP, 0, SPAWN_MAY_SEE};
    configure_again();
    assert_non_null(strstr(of_job(SPAWN_M_KILL, &id),
                           "has not the right 'kill' in queue 'hidden'"));
}

static void nor_that_of_a_recurring_job(void **state)
{
    spawn_writer w;

    NEEDS_ROOT;
    say_of("hidden", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    backup_comes();
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_LIST);
    spawn_put_str(&w, SPAWN_A_CRON, "yearly"); /* the queue is other */
    assert_string_equal(refused(&w),
                        "uid 61001 (backup) has not the right 'see' in the "
                        "queue of this recurring job: SpawnAccess of "
                        "httpd.conf gives it nothing there");
}

static int set_up_hidden(void **state)
{
    static const char *const queues[] = {"other", "hidden", NULL};
    int rv = set_up_each(state);

    more_queues = queues;
    return rv;
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_hidden, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(queues_that_it_has_nothing_to_do_with_are_not_listed),
        ALONE(nor_are_templates), ALONE(nor_is_the_queue_of_a_job),
        ALONE(nor_that_of_a_recurring_job)};

    find_broker();
    return cmocka_run_group_tests_name("what refusals name", tests, NULL, NULL);
}
