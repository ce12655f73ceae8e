/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAccess in the broker: an account comes in, by its number or a group of
 * its own, when it is given any right; each request needs its right, in its
 * queue; a job that it may not see is in no answer. A refused account is told
 * which right it lacks, and where, and so is the log.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

static void root_comes(void)
{
    (void)close(caller);
    call_in();
}

/* ---- jobs ---- */

/* It has ended. */
static void a_job_of(const char *queue, spawn_id *ret)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(ret), 0);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    say_exited(ret, 0, 0);
    expect_id(SPAWN_M_FORGET, ret);
}

/* ---- requests ---- */

/* How it is answered at last: what the caller was shown is counted. */
static unsigned rows;
static bool has_sums; /* the first row of the broker's numbers */

static unsigned outcome(spawn_writer *w)
{
    rows = 0;
    ask(w);
    for (;;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_METER && rows == 0)
            has_sums = spawn_has(&message, SPAWN_A_COUNTS);
        switch (message.header.type) {
        case SPAWN_M_REFUSED:
            return (unsigned)spawn_u64_or(&message, SPAWN_A_CODE, 0);
        case SPAWN_M_JOB:
            if (++rows && message.header.seq != 1)
                break;
            return SPAWN_E_OK;
        case SPAWN_M_PROCESS:
        case SPAWN_M_QUEUE_STATE:
        case SPAWN_M_CRON_ENTRY:
        case SPAWN_M_METER:
            rows++;
            break;
        default:
            return SPAWN_E_OK;
        }
    }
}

/* Each has the sequence number 1 when one JOB is its answer. */
static unsigned request(uint16_t type, uint16_t by, uint64_t value,
                        const spawn_id *id, const char *queue)
{
    bool one =
        type == SPAWN_M_GET || type == SPAWN_M_WAIT || type == SPAWN_M_WATCH;
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, type, one);
    if (id)
        spawn_put_id(&w, SPAWN_A_ID, id);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (by)
        spawn_put_u64(&w, by, value);
    if (type == SPAWN_M_WAIT)
        spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    if (type == SPAWN_M_WATCH) {
        spawn_put_u64(&w, SPAWN_A_SEEN, 0);
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, 1);
    }
    if (type == SPAWN_M_CRON)
        spawn_put_str(&w, SPAWN_A_CRON, "yearly");
    return outcome(&w);
}

static void expect_text(const char *wanted)
{
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), wanted);
}

/* ---- who comes in ---- */

static void an_account_comes_in_by_its_number(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    connect_with(OTHER, OTHER, 0);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    expect_text("uid 61002 may not use this spawner: no SpawnAccess of "
                "httpd.conf gives it a right");
    wait_until_logged("MS0541", 1);
}

static void or_by_a_group(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, 0, OPS, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    connect_with(OTHER, OPS, 0);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    connect_with(OTHER, OTHER, OPS);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    connect_with(OTHER, OTHER, STAFF);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    /* the number of a group is none of an account */
    connect_with(OPS, OTHER, 0);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

static void more_groups_than_most_have(void **state)
{
    static gid_t groups[1000];
    size_t i;

    NEEDS_ROOT;
    for (i = 0; i < 1000; i++)
        groups[i] = (gid_t)(70000 + i);
    say_of(NULL, 0, groups[999], SPAWN_MAY_SEE);
    reach_go_and_call_in();
    connect_in(OTHER, OTHER, groups, 999);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    connect_in(OTHER, OTHER, groups, 1000);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
}

static void who_is_given_nothing_does_not(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, 0);
    say_of("other", 0, 0, SPAWN_MAY_ALL); /* of nobody */
    reach_go_and_call_in();
    connect_with(BACKUP, BACKUP, 0);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

/* ---- each request needs its right ---- */

static const struct {
    uint16_t type, by;
    uint64_t value;
    unsigned right;
    bool silent; /* it has no answer */
} needs[] = {
    {SPAWN_M_SUBMIT, 0, 0, SPAWN_MAY_SUBMIT, false},
    {SPAWN_M_WAIT, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_WATCH, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_GET, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_LIST, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_KILL, 0, 0, SPAWN_MAY_KILL, false},
    {SPAWN_M_TEMPLATES, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_METERS, 0, 0, SPAWN_MAY_SEE, false},
    {SPAWN_M_REVIVE, 0, 0, SPAWN_MAY_SUBMIT, false},
    {SPAWN_M_START_NOW, 0, 0, SPAWN_MAY_SUBMIT, false},
    {SPAWN_M_LEASE_LOST, 0, 0, SPAWN_MAY_SUBMIT, true},
    {SPAWN_M_CRON, SPAWN_A_CRON_DO, SPAWN_CRON_LIST, SPAWN_MAY_SEE, false},
    {SPAWN_M_CRON, SPAWN_A_CRON_DO, SPAWN_CRON_RUN, SPAWN_MAY_SUBMIT, false},
    {SPAWN_M_CRON, SPAWN_A_CRON_DO, SPAWN_CRON_PAUSE, SPAWN_MAY_CONTROL, false},
    {SPAWN_M_CRON, SPAWN_A_CRON_DO, SPAWN_CRON_RESUME, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_CRON, SPAWN_A_CRON_DO, 99, SPAWN_MAY_CONTROL, false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST, SPAWN_MAY_SEE, false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_PAUSE, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_RESUME, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_DRAIN, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_SCALE, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_UNPAUSE, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_UNDRAIN, SPAWN_MAY_CONTROL,
     false},
    {SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, 99, SPAWN_MAY_CONTROL, false},
};
#define NEEDS (sizeof(needs) / sizeof(needs[0]))

/* A request that is added to the protocol must have its right here. */
static void each_request_of_callers_is_known_here(void **state)
{
    static const struct {
        uint16_t type;
        unsigned from;
    } all[] = {
#define X_FROM(n, NAME, from, max, fds, name) {n, from},
        SPAWN_MESSAGE_LIST(X_FROM)};
    size_t i, j;

    (void)state;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        bool known =
            !(all[i].from & SPAWN_FROM_CALLER) || all[i].type == SPAWN_M_HELLO;

        for (j = 0; j < NEEDS; j++)
            known |= needs[j].type == all[i].type;
        if (!known)
            fail_msg("which right does '%s' need?",
                     spawn_message_name(all[i].type));
    }
}

/* Of what it names, by somebody with these rights. */
static unsigned with_rights(size_t i, const spawn_id *ended, unsigned rights)
{
    bool of_job =
        needs[i].type == SPAWN_M_WAIT || needs[i].type == SPAWN_M_GET
        || needs[i].type == SPAWN_M_WATCH || needs[i].type == SPAWN_M_KILL
        || needs[i].type == SPAWN_M_REVIVE || needs[i].type == SPAWN_M_START_NOW
        || needs[i].type == SPAWN_M_LEASE_LOST
        || needs[i].type == SPAWN_M_SUBMIT;
    bool of_queue =
        needs[i].type == SPAWN_M_LIST || needs[i].type == SPAWN_M_SUBMIT
        || needs[i].type == SPAWN_M_QUEUES || needs[i].type == SPAWN_M_METERS;
    unsigned code;

    said_count = 0;
    say_of("other", BACKUP, 0, rights);
    configure_again();
    code = request(needs[i].type, needs[i].by, needs[i].value,
                   of_job ? ended : NULL, of_queue ? "other" : NULL);
    if (message.header.type == SPAWN_M_REFUSED && code != SPAWN_E_NOT_PERMITTED)
        return SPAWN_E_OK; /* it was looked at */
    return code;
}

static void each_needs_its_right(void **state)
{
    spawn_id ended;
    size_t i;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    a_job_of("other", &ended);
    backup_comes();
    for (i = 0; i < NEEDS; i++) {
        unsigned without = SPAWN_MAY_ALL & ~needs[i].right;

        if (with_rights(i, &ended, without) != SPAWN_E_NOT_PERMITTED)
            fail_msg("'%s' %u is done without its right",
                     spawn_message_name(needs[i].type),
                     (unsigned)needs[i].value);
        if (!needs[i].silent
            && with_rights(i, &ended, needs[i].right) != SPAWN_E_OK)
            fail_msg("'%s' %u: %s", spawn_message_name(needs[i].type),
                     (unsigned)needs[i].value,
                     spawn_str_or(&message, SPAWN_A_TEXT, ""));
    }
    quiet_for(50); /* nothing was launched or signalled */
}

static void a_refusal_says_who_and_what(void **state)
{
    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SUBMIT | SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    assert_int_equal(request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO,
                             SPAWN_QUEUE_PAUSE, NULL, "other"),
                     SPAWN_E_NOT_PERMITTED);
    expect_text("uid 61001 (backup) has not the right 'control' in queue "
                "'other': SpawnAccess of httpd.conf gives it submit,see there");
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, "default"),
                     SPAWN_E_NOT_PERMITTED);
    expect_text("uid 61001 (backup) has not the right 'see' in queue "
                "'default': SpawnAccess of httpd.conf gives it nothing there");
    wait_until_logged("is refused: uid 61001 (backup) has not the right", 2);
    /* there is a limit to such lines */
    while (logged("MS0547") < SPAWN_LOG_FEW)
        (void)request(SPAWN_M_LIST, 0, 0, NULL, "default");
    (void)request(SPAWN_M_LIST, 0, 0, NULL, "default");
    comes_to_rest();
    assert_int_equal(logged("MS0547"), SPAWN_LOG_FEW);
}

/* ---- which rule counts ---- */

static void what_a_queue_says_counts_there_alone(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_ALL);
    say_of("other", OTHER, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, "other"),
                     SPAWN_E_NOT_PERMITTED);
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, "default"), SPAWN_E_OK);
}

static void rights_of_an_account_and_its_groups_add_up(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SUBMIT);
    say_of(NULL, 0, OPS, SPAWN_MAY_CONTROL);
    reach_go_and_call_in();
    connect_with(BACKUP, BACKUP, OPS);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    assert_int_equal(request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO,
                             SPAWN_QUEUE_PAUSE, NULL, "default"),
                     SPAWN_E_OK);
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL), SPAWN_E_OK);
    backup_comes(); /* without the group */
    assert_int_equal(request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO,
                             SPAWN_QUEUE_RESUME, NULL, "default"),
                     SPAWN_E_NOT_PERMITTED);
}

static void a_new_configuration_counts_for_who_has_come_before(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL), SPAWN_E_OK);
    said[0].rights = SPAWN_MAY_KILL;
    configure_again();
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL),
                     SPAWN_E_NOT_PERMITTED);
    expect_text("uid 61001 (backup) has not the right 'see' in any queue: "
                "SpawnAccess of httpd.conf gives it kill there");
}

static void root_may_all_whatever_is_said(void **state)
{
    NEEDS_ROOT;
    say_of("other", OTHER, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    assert_int_equal(request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO,
                             SPAWN_QUEUE_PAUSE, NULL, "other"),
                     SPAWN_E_OK);
}

static void put_without_rights(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCESS);

    spawn_put_u64(w, SPAWN_A_UID, BACKUP);
    spawn_close(w, mark);
    put_said(w);
}

static void what_makes_no_sense_is_left_out(void **state)
{
    NEEDS_ROOT;
    more_rules = put_without_rights;
    say_of("no/name", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    wait_until_logged("MS0546: a SpawnAccess is left out: 'no/name' is not a "
                      "name of a queue",
                      1);
    wait_until_logged("MS0546", 2);
    connect_with(BACKUP, BACKUP, 0);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

/* ---- what is seen ---- */

static void lists_have_what_may_be_seen(void **state)
{
    spawn_id mine, theirs;
    spawn_writer w;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    a_job_of("other", &mine);
    a_job_of("default", &theirs);
    a_job_of("default", &theirs);
    has_heard();
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL), SPAWN_E_OK);
    assert_int_equal(rows, 3);
    assert_int_equal(
        request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST, NULL, NULL),
        SPAWN_E_OK);
    assert_int_equal(rows, 2);
    assert_int_equal(request(SPAWN_M_METERS, 0, 0, NULL, NULL), SPAWN_E_OK);
    assert_int_equal(rows, 4); /* of all, of none of them, and of each */
    assert_true(has_sums);
    backup_comes();
    assert_int_equal(request(SPAWN_M_METERS, 0, 0, NULL, NULL), SPAWN_E_OK);
    assert_int_equal(rows, 2); /* of the pair, and its own */
    assert_false(has_sums);
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL), SPAWN_E_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(
        request(SPAWN_M_QUEUES, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST, NULL, NULL),
        SPAWN_E_OK);
    assert_int_equal(rows, 1);
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_LIST);
    assert_int_equal(outcome(&w), SPAWN_E_OK);
    assert_int_equal(rows, 1);
    said[0].queue = "default"; /* the entry's queue is other */
    configure_again();
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_LIST);
    assert_int_equal(outcome(&w), SPAWN_E_OK);
    assert_int_equal(rows, 0);
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_LIST);
    spawn_put_str(&w, SPAWN_A_CRON, "nothing");
    assert_int_equal(outcome(&w), SPAWN_E_INVALID);
    assert_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "yearly"));
    assert_int_equal(request(SPAWN_M_LIST, 0, 0, NULL, NULL), SPAWN_E_OK);
    assert_int_equal(rows, 2);
}

static uint64_t dead(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    assert_int_equal(outcome(&w), SPAWN_E_OK);
    return spawn_u64_or(&message, SPAWN_A_DEAD, 99);
}

static void and_so_has_the_count_of_the_dead(void **state)
{
    spawn_id id;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    a_job_of("other", &id);
    a_job_of("default", &id);
    has_heard();
    end_broker();
    run_sql("UPDATE job SET dead = 1");
    reach_go_and_call_in();
    assert_int_equal(dead(), 2);
    backup_comes();
    assert_int_equal(dead(), 1);
}

static void put_a_template_of_no_queue(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);

    spawn_put_str(w, SPAWN_A_TEMPLATE, "lone");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_PARENT);
    spawn_close(w, mark);
    put_said(w);
}

static const char *the_template_seen(void)
{
    static char name[SPAWN_NAME_MAX + 1];
    spawn_writer w;

    configure_again();
    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    if (message.header.type == SPAWN_M_END)
        return "none";
    assert_int_equal(message.header.type, SPAWN_M_PROCESS);
    (void)snprintf(name, sizeof(name), "%s",
                   spawn_str_or(&message, SPAWN_A_TEMPLATE, ""));
    expect_answer(SPAWN_M_END);
    return name;
}

static void templates_are_seen_with_their_queues(void **state)
{
    spawn_id template;

    NEEDS_ROOT;
    more_rules = put_a_template_of_no_queue;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_a_template(&template);
    backup_comes();
    assert_string_equal(the_template_seen(), "app");
    said[0].queue = "none"; /* which no template has */
    assert_string_equal(the_template_seen(), "none");
    said[0].queue = NULL;
    say_of("default", OTHER, 0, SPAWN_MAY_SEE);
    say_of("other", OTHER, 0, SPAWN_MAY_SEE);
    assert_string_equal(the_template_seen(), "lone");
}

static void a_job_of_another_queue_is_not_touched(void **state)
{
    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    job_runs(FOREVER, 0, SPAWN_REPLY_ACCEPTED); /* in the queue default */
    backup_comes();
    assert_int_equal(request(SPAWN_M_KILL, 0, 0, &job, NULL),
                     SPAWN_E_NOT_PERMITTED);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "'kill' in the queue of this job"));
    assert_int_equal(request(SPAWN_M_GET, 0, 0, &job, NULL),
                     SPAWN_E_NOT_PERMITTED);
    assert_int_equal(request(SPAWN_M_WAIT, 0, 0, &job, NULL),
                     SPAWN_E_NOT_PERMITTED);
    quiet_for(50);
    ends(0); /* and once it has ended, as the store has it */
    has_heard();
    assert_int_equal(request(SPAWN_M_GET, 0, 0, &job, NULL),
                     SPAWN_E_NOT_PERMITTED);
    assert_int_equal(request(SPAWN_M_KILL, 0, 0, &job, NULL),
                     SPAWN_E_NOT_PERMITTED);
}

/* It may not be in the store yet. */
static void nor_is_one_that_comes_just_now(void **state)
{
    int backups, roots;
    spawn_writer w;
    spawn_id id;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_KILL);
    reach_go_and_call_in();
    backup_comes();
    backups = caller;
    caller = -1;
    call_in();
    roots = caller;
    assert_int_equal(spawn_id_make(&id), 0);
    comes_to_rest();
    broker_sleeps();
    submit_as(&id, "/bin/true");
    caller = backups;
    begin(&w, SPAWN_M_KILL, &id);
    ask(&w);
    broker_goes_on();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    (void)close(roots);
}

/* Its id was asked for before, when there was no such job. */
static void one_that_comes_in_the_same_turn_is_not_told(void **state)
{
    int backups, roots;
    spawn_writer w;
    spawn_id id;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    backups = caller;
    caller = -1;
    call_in();
    roots = caller;
    assert_int_equal(spawn_id_make(&id), 0);
    comes_to_rest();
    broker_sleeps();
    caller = backups;
    begin(&w, SPAWN_M_GET, &id);
    ask(&w);
    caller = roots;
    submit_as(&id, "/bin/true");
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    caller = backups;
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    (void)close(roots);
}

/* The account knows the id and all that the job was submitted with. */
static void a_job_of_another_account_is_not_told_to_who_submits_it(void **state)
{
    spawn_id theirs, mine;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SUBMIT);
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&theirs), 0);
    submit_as(&theirs, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &theirs);
    backup_comes();
    submit_as(&theirs, "/bin/true");
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    assert_int_equal(spawn_id_make(&mine), 0);
    submit_as(&mine, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &mine);
    submit_as(&mine, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    say_exited(&mine, 0, 0);
    expect_id(SPAWN_M_FORGET, &mine);
    comes_to_rest();
    submit_as(&mine, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    root_comes();
    submit_as(&mine, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
}

static void after(const spawn_id *other, spawn_id *ret)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(ret), 0);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, other->bytes, SPAWN_ID_SIZE);
    ask(&w);
}

/* Nor is its end, by a job that comes after it. */
static void nor_to_who_comes_after_it(void **state)
{
    spawn_id theirs, mine, next;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SUBMIT);
    reach_go_and_call_in();
    a_job_of("other", &theirs);
    backup_comes();
    after(&theirs, &next);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "'see' in the queue of this job"));
    a_job_of("default", &mine);
    after(&mine, &next);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &next);
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    configure_again();
    after(&theirs, &next);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &next);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(an_account_comes_in_by_its_number),
        ALONE(or_by_a_group),
        ALONE(more_groups_than_most_have),
        ALONE(who_is_given_nothing_does_not),
        cmocka_unit_test(each_request_of_callers_is_known_here),
        ALONE(each_needs_its_right),
        ALONE(a_refusal_says_who_and_what),
        ALONE(what_a_queue_says_counts_there_alone),
        ALONE(rights_of_an_account_and_its_groups_add_up),
        ALONE(a_new_configuration_counts_for_who_has_come_before),
        ALONE(root_may_all_whatever_is_said),
        ALONE(what_makes_no_sense_is_left_out),
        ALONE(lists_have_what_may_be_seen),
        ALONE(and_so_has_the_count_of_the_dead),
        ALONE(templates_are_seen_with_their_queues),
        ALONE(a_job_of_another_queue_is_not_touched),
        ALONE(nor_is_one_that_comes_just_now),
        ALONE(one_that_comes_in_the_same_turn_is_not_told),
        ALONE(a_job_of_another_account_is_not_told_to_who_submits_it),
        ALONE(nor_to_who_comes_after_it)};

    find_broker();
    return cmocka_run_group_tests_name("SpawnAccess", tests, NULL, NULL);
}
