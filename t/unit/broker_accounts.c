/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of jobs in the broker: jobs and templates have the HOME, USER
 * and LOGNAME of theirs, a job may name no other, and a function needs a
 * template of its queue's account, which is replaced when the account changes.
 * A new CONFIGURE counts alone.
 */
#include "t/unit/broker_jobs.h"

typedef struct {
    uint64_t uid, gid, group; /* group: one more of it; 0: none */
    bool no_gid;
    const char *user, *users_group, *home; /* NULL: not told */
    const char *const *queues, *const *templates;
} account;

static account told[4];
static unsigned told_count;

static void put_names(spawn_writer *w, uint16_t attr, const char *const *names)
{
    size_t mark = spawn_open_strv(w, attr);

    for (; *names; names++)
        spawn_add_text(w, mark, *names, strlen(*names));
    spawn_close(w, mark);
}

static void put_accounts(spawn_writer *w)
{
    unsigned i;

    for (i = 0; i < told_count; i++) {
        const account *a = &told[i];
        size_t mark = spawn_open_nest(w, SPAWN_A_ACCOUNT);

        spawn_put_u64(w, SPAWN_A_UID, a->uid);
        if (!a->no_gid)
            spawn_put_u64(w, SPAWN_A_GID, a->gid);
        if (a->group)
            spawn_put_u64v(w, SPAWN_A_GROUPS, &a->group, 1);
        if (a->user)
            spawn_put_str(w, SPAWN_A_JOB_USER, a->user);
        if (a->users_group)
            spawn_put_str(w, SPAWN_A_JOB_GROUP, a->users_group);
        if (a->home)
            spawn_put_str(w, SPAWN_A_JOB_HOME, a->home);
        if (a->queues)
            put_names(w, SPAWN_A_QUEUE_NAMES, a->queues);
        if (a->templates)
            put_names(w, SPAWN_A_TEMPLATE_NAMES, a->templates);
        spawn_close(w, mark);
    }
}

static const char *const media_queues[] = {"media", "not-there", NULL};
static const char *const app[] = {"app", "not-there", NULL};

static int set_up_each(void **state)
{
    static const char *const queues[] = {"media", NULL};
    int rv = set_up(state);

    told[0] = (account){.uid = 61001,
                        .gid = 61003,
                        .user = "media",
                        .users_group = "artists",
                        .home = "/srv/media",
                        .queues = media_queues};
    told_count = 1;
    more_rules = put_accounts;
    more_queues = queues;
    job_names = log_is_kept = true;
    return rv;
}

static void configure_again(void)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
}

/* ---- jobs ---- */

static unsigned submit_to(const char *queue, const char *user,
                          const char *group)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (user)
        spawn_put_str(&w, SPAWN_A_USER, user);
    if (group)
        spawn_put_str(&w, SPAWN_A_GROUP, group);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_REFUSED
               ? (unsigned)spawn_u64_or(&message, SPAWN_A_CODE, 0)
               : SPAWN_E_OK;
}

/* Of the order that is the message now. */
static void expect_env(const char *wanted)
{
    const spawn_attr *env = &message.attr[SPAWN_A_ENV];
    uint32_t left;
    const char *text = NULL;

    assert_true(spawn_has(&message, SPAWN_A_ENV));
    for (left = spawn_strv_count(env); left > 0; left--) {
        text = spawn_strv_next(env, text);
        if (strcmp(text, wanted) == 0)
            return;
    }
    fail_msg("%s is not in the environment", wanted);
}

static void runs(const char *queue, const char *home, const char *user)
{
    char text[100];

    assert_int_equal(submit_to(queue, NULL, NULL), SPAWN_E_OK);
    expect_id(SPAWN_M_LAUNCH, &job);
    (void)snprintf(text, sizeof(text), "HOME=%s", home);
    expect_env(text);
    (void)snprintf(text, sizeof(text), "USER=%s", user);
    expect_env(text);
    (void)snprintf(text, sizeof(text), "LOGNAME=%s", user);
    expect_env(text);
    ends(0);
}

static void jobs_know_whose_they_are(void **state)
{
    (void)state;
    reach_go_and_call_in();
    runs("media", "/srv/media", "media");
    runs("default", "/", "they");
}

static void who_has_no_name_has_a_number(void **state)
{
    (void)state;
    told[0].user = told[0].users_group = told[0].home = NULL;
    reach_go_and_call_in();
    runs("media", "/", "61001");
    assert_int_equal(submit_to("media", NULL, "artists"),
                     SPAWN_E_NOT_PERMITTED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "group: jobs of queue 'media' run as group of httpd, "
                        "and no other can be had there");
}

static void put_no_name(spawn_writer *w)
{
    spawn_put_str(w, SPAWN_A_JOB_USER, "");
    spawn_put_str(w, SPAWN_A_JOB_GROUP, "");
}

static void so_has_httpds_own(void **state)
{
    char number[24];

    (void)state;
    (void)snprintf(number, sizeof(number), "%lu", (unsigned long)getuid());
    job_names = false;
    more_rules = put_no_name;
    reach_go_and_call_in();
    runs("default", "/", number);
}

static void a_new_configuration_counts_alone(void **state)
{
    (void)state;
    reach_go_and_call_in();
    told_count = 0;
    configure_again();
    runs("media", "/", "they");
    told_count = 1;
    told[0].user = "other";
    configure_again();
    runs("media", "/srv/media", "other");
}

static void a_job_names_the_account_of_its_queue_or_none(void **state)
{
    static const struct {
        const char *queue, *user, *group;
        unsigned wanted;
    } jobs[] = {{"media", "media", NULL, SPAWN_E_OK},
                {"media", "61001", NULL, SPAWN_E_OK},
                {"media", "media", "artists", SPAWN_E_OK},
                {"media", NULL, "61003", SPAWN_E_OK},
                {"default", "they", "theirs", SPAWN_E_OK},
                {"media", "they", NULL, SPAWN_E_NOT_PERMITTED},
                {"media", "61003", NULL, SPAWN_E_NOT_PERMITTED},
                {"media", "", NULL, SPAWN_E_NOT_PERMITTED},
                {"media", "media", "theirs", SPAWN_E_NOT_PERMITTED},
                {"media", NULL, "61001", SPAWN_E_NOT_PERMITTED},
                {"default", "media", NULL, SPAWN_E_NOT_PERMITTED},
                {"default", NULL, "artists", SPAWN_E_NOT_PERMITTED}};
    size_t i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        unsigned is = submit_to(jobs[i].queue, jobs[i].user, jobs[i].group);

        if (is != jobs[i].wanted)
            fail_msg("%u: %s %s: %u", (unsigned)i, jobs[i].queue,
                     jobs[i].user ? jobs[i].user : jobs[i].group, is);
        if (is == SPAWN_E_OK) {
            expect_id(SPAWN_M_LAUNCH, &job);
            ends(0);
        }
    }
    quiet_for(50);
}

static void an_account_that_cannot_be_read_is_left_out(void **state)
{
    (void)state;
    told[0].no_gid = true;
    reach_go_and_call_in();
    wait_until_logged("MS0528: an account of jobs is left out", 1);
    runs("media", "/", "they");
}

/* "-": nothing is said of it. */
static void expect_told_of(const char *queue, const char *user,
                           const char *group)
{
    bool found = false;
    spawn_writer w;

    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST);
    ask(&w);
    while (receive_at(caller, SPAWN_FROM_BROKER) == 1
           && message.header.type != SPAWN_M_END) {
        if (strcmp(spawn_str_or(&message, SPAWN_A_QUEUE, ""), queue) != 0)
            continue;
        assert_string_equal(spawn_str_or(&message, SPAWN_A_JOB_USER, "-"),
                            user);
        assert_string_equal(spawn_str_or(&message, SPAWN_A_JOB_GROUP, "-"),
                            group);
        found = true;
    }
    assert_true(found);
}

static void a_queue_tells_whose_its_jobs_are(void **state)
{
    (void)state;
    reach_go_and_call_in();
    expect_told_of("media", "media", told[0].users_group);
    expect_told_of("default", "-", "-");
    told[0].user = told[0].users_group = NULL;
    configure_again();
    expect_told_of("media", "61001", "61003");
}

/* ---- templates ---- */

static unsigned call_in_queue(const char *queue)
{
    spawn_writer w;

    begin_function(&w, &job);
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_REFUSED
               ? (unsigned)spawn_u64_or(&message, SPAWN_A_CODE, 0)
               : SPAWN_E_OK;
}

static void a_function_needs_a_template_of_its_account(void **state)
{
    spawn_id template;

    (void)state;
    reach_a_template(&template);
    assert_int_equal(call_in_queue("media"), SPAWN_E_NOT_PERMITTED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "jobs of queue 'media' run as media, and template "
                        "'app' as they: a call there needs a template of the "
                        "queue's own (SpawnTemplate in its <SpawnQueue>)");
    assert_int_equal(call_in_queue("default"), SPAWN_E_OK);
    expect_order(&job, &template);
}

/* The template is of media now; uid and gid count, names do not. */
static void or_of_the_same_numbers(void **state)
{
    spawn_id template;

    (void)state;
    told[1] = (account){.uid = 61001, .gid = 61003, .templates = app};
    told_count = 2;
    reach_a_template(&template);
    expect_env("HOME=/");
    assert_int_equal(call_in_queue("media"), SPAWN_E_OK);
    expect_order(&job, &template);
    assert_int_equal(call_in_queue("default"), SPAWN_E_NOT_PERMITTED);
    told[1].gid = 61004;
    configure_again();
    assert_int_equal(call_in_queue("media"), SPAWN_E_NOT_PERMITTED);
}

/* A broker that comes finds it, as it was started for the account of before. */
static void another_broker_finds(const spawn_id *template)
{
    end_broker();
    start_broker();
    say_running_app(template);
    expect_ready();
    say(SPAWN_M_GO);
}

static void a_template_goes_with_its_account(void **state)
{
    spawn_id template, next;
    unsigned i;

    (void)state;
    told[1] = (account){.uid = 61001, .gid = 61003, .templates = app};
    told_count = 2;
    reach_a_template(&template);
    another_broker_finds(&template);
    quiet_for(50); /* nothing has changed */
    for (i = 0; i < 4; i++) {
        switch (i) {
        case 0:
            told[1].uid = 61002;
            break;
        case 1:
            told[1].gid = 61002;
            break;
        case 2:
            told[1].group = 61005;
            break;
        default:
            told_count = 1;
        }
        another_broker_finds(&template);
        template_starts(&next, true);
        expect_id(SPAWN_M_DISMISS, &template);
        template = next;
    }
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(jobs_know_whose_they_are),
        ALONE(who_has_no_name_has_a_number),
        ALONE(so_has_httpds_own),
        ALONE(a_new_configuration_counts_alone),
        ALONE(a_job_names_the_account_of_its_queue_or_none),
        ALONE(an_account_that_cannot_be_read_is_left_out),
        ALONE(a_queue_tells_whose_its_jobs_are),
        ALONE(a_function_needs_a_template_of_its_account),
        ALONE(or_of_the_same_numbers),
        ALONE(a_template_goes_with_its_account)};

    find_broker();
    return cmocka_run_group_tests_name("accounts of jobs, in the broker", tests,
                                       NULL, NULL);
}
