/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of queues and templates, which httpd lists to the spawner: a job
 * has that of its queue, whatever the order says beside that; and orders that a
 * broker which was taken over could make up are refused, and told: a queue or a
 * template that is not listed, a template of another account, signals for
 * processes that are no jobs. A list that cannot be right changes nothing, and
 * the list holds over an upgrade.
 */
#include "t/unit/spawner_look.h"

#define MEDIA   61001
#define REPORTS 61002
#define GROUP   61003
#define NO_JOBS 61009

/* ---- the list ---- */

/* The values of CONFIGURE; a test changes its own. */
static struct {
    uint64_t media, reports; /* uids */
    unsigned groups;         /* of media */
    bool no_gid;
} say;

static void put_names(spawn_writer *w, uint16_t attr, const char *a,
                      const char *b)
{
    size_t mark = spawn_open_strv(w, attr);

    if (a)
        spawn_add_text(w, mark, a, strlen(a));
    if (b)
        spawn_add_text(w, mark, b, strlen(b));
    spawn_close(w, mark);
}

static void put_account(spawn_writer *w, uint64_t uid, uint64_t gid,
                        const char *queue, const char *other,
                        const char *template)
{
    static uint64_t groups[300];
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCOUNT);
    unsigned i;

    for (i = 0; i < say.groups; i++)
        groups[i] = 70000 + i;
    spawn_put_u64(w, SPAWN_A_UID, uid);
    if (!say.no_gid)
        spawn_put_u64(w, SPAWN_A_GID, gid);
    if (say.groups && uid == say.media)
        spawn_put_u64v(w, SPAWN_A_GROUPS, groups, say.groups);
    if (queue)
        put_names(w, SPAWN_A_QUEUE_NAMES, queue, other);
    if (template)
        put_names(w, SPAWN_A_TEMPLATE_NAMES, template, NULL);
    spawn_close(w, mark);
}

static void put_accounts(spawn_writer *w)
{
    put_account(w, NOBODY, NOBODY, "default", "zoo", "plain");
    put_account(w, say.media, GROUP, "media", "b", "app");
    put_account(w, say.reports, GROUP, "reports", NULL, "own");
}

static int start(void **state)
{
    char path[128];
    int fd;

    say.media = MEDIA;
    say.reports = REPORTS;
    say.groups = 2;
    say.no_gid = false;
    configure_more = put_accounts;
    if (start_with_log(state) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/out", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    (void)fchmod(fd, 0666); /* all of them write there */
    (void)close(fd);
    return fd < 0 ? -1 : 0;
}

/* ---- orders ---- */

static void begin_of(spawn_writer *w, const spawn_id *id, const char *queue,
                     const char *script)
{
    begin_order(w, id, script);
    put_out(w);
    if (queue)
        spawn_put_str(w, SPAWN_A_QUEUE, queue);
}

static void order(spawn_id *id, const char *queue, const char *script)
{
    spawn_writer w;

    new_id(id);
    begin_of(&w, id, queue, script);
    send_on(link_fd, &w, NULL, 0);
}

static void runs_to_its_end(const spawn_id *id)
{
    expect_id(SPAWN_M_STARTED, id);
    expect_exit(id, 0);
    send_id(SPAWN_M_FORGET, id);
}

static void said(const char *expected)
{
    char path[128];

    assert_string_equal(out_text(), expected);
    (void)snprintf(path, sizeof(path), "%s/out", dir);
    assert_int_equal(truncate(path, 0), 0);
}

#define WHO "id | sed 's/([^)]*)//g'"

static void has_the_account(const char *queue, const char *expected)
{
    spawn_id id;

    order(&id, queue, WHO);
    runs_to_its_end(&id);
    said(expected);
}

static void is_refused(const spawn_id *id, spawn_step step, int error)
{
    expect_failed(id, step, error);
    send_id(SPAWN_M_FORGET, id);
}

#define OF_MEDIA   "uid=61001 gid=61003 groups=61003,70000,70001\n"
#define OF_REPORTS "uid=61002 gid=61003 groups=61003\n"
#define OF_DEFAULT "uid=65534 gid=65534 groups=65534\n"

static void a_job_has_the_account_of_its_queue(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    has_the_account("media", OF_MEDIA);
    has_the_account("b", OF_MEDIA);
    has_the_account("reports", OF_REPORTS);
    has_the_account("default", OF_DEFAULT);
    has_the_account("zoo", OF_DEFAULT);
    /* an order can name an account, and that counts for nothing */
    new_id(&id);
    begin_of(&w, &id, "reports", WHO);
    spawn_put_u64(&w, SPAWN_A_UID, 0);
    spawn_put_u64(&w, SPAWN_A_GID, 0);
    send_on(link_fd, &w, NULL, 0);
    runs_to_its_end(&id);
    said(OF_REPORTS);
    /* somebody waits for the start: it is forked in another way */
    start_is_awaited = true;
    has_the_account("media", OF_MEDIA);
    has_the_account("reports", OF_REPORTS);
}

static void nothing_is_left_of_root(void **state)
{
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    order(&id, "media",
          "grep -E '^(Uid|Gid|CapInh|CapPrm|CapEff|CapAmb)' "
          "/proc/self/status | tr -d '\t'");
    runs_to_its_end(&id);
    said("Uid:61001610016100161001\nGid:61003610036100361003\n"
         "CapInh:0000000000000000\nCapPrm:0000000000000000\n"
         "CapEff:0000000000000000\nCapAmb:0000000000000000\n");
}

static void what_is_not_listed_is_refused(void **state)
{
    static const char *const forged[] = {
        NULL, "", "medi", "media2", "Media", "a", "zzz", "app", "reports "};
    spawn_id id;
    unsigned i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        order(&id, forged[i], "echo it ran");
        is_refused(&id, SPAWN_STEP_UID, EPERM);
    }
    expect_log("MS0371");
    expect_log("queue 'medi' is not among those that httpd has listed");
    has_the_account("media", OF_MEDIA); /* and nothing else ran */
}

/* ---- templates ---- */

static void order_template(spawn_id *id, const char *name, const char *script)
{
    spawn_writer w;

    new_id(id);
    begin_of(&w, id, NULL, script);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    if (name)
        spawn_put_str(&w, SPAWN_A_TEMPLATE, name);
    send_on(link_fd, &w, NULL, 0);
}

static void order_call(spawn_id *id, const spawn_id *template,
                       const char *queue, bool worker)
{
    spawn_writer w;

    new_id(id);
    begin_of(&w, id, queue, "echo it ran");
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, template);
    if (worker)
        spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    send_on(link_fd, &w, NULL, 0);
}

static void a_template_has_the_account_that_it_is_listed_with(void **state)
{
    static const char *const forged[] = {NULL, "", "media", "ap",
                                         "application"};
    spawn_id id;
    unsigned i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    order_template(&id, "app", WHO);
    runs_to_its_end(&id);
    said(OF_MEDIA);
    order_template(&id, "own", WHO);
    runs_to_its_end(&id);
    said(OF_REPORTS);
    for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        order_template(&id, forged[i], "echo it ran");
        is_refused(&id, SPAWN_STEP_UID, EPERM);
    }
    expect_log("template 'ap' is not among those");
    has_the_account("media", OF_MEDIA);
}

static void a_call_comes_from_a_template_of_its_account(void **state)
{
    spawn_id template, id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    order_template(&template, "app", "exec sleep 600");
    expect_id(SPAWN_M_STARTED, &template);
    order_call(&id, &template, "reports", false);
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    order_call(&id, &template, "default", true);
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    order_call(&id, &template, "unknown", false);
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    expect_log("has another account than the template that it names");
    /* its own is handed on, and stays with the template */
    order_call(&id, &template, "media", false);
    /* its account has changed meanwhile: the broker will have another one */
    say.media = MEDIA + 7;
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    order_call(&id, &template, "media", false);
    is_refused(&id, SPAWN_STEP_TEMPLATE, ESRCH);
    order_call(&id, &template, "reports", false);
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    has_the_account("media", "uid=61008 gid=61003 groups=61003,70000,70001\n");
}

/* The system's administrator has changed them, and httpd was restarted. */
static void a_template_of_other_groups_is_not_kept(void **state)
{
    spawn_id template, next, id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    order_template(&template, "app", "exec sleep 600");
    expect_id(SPAWN_M_STARTED, &template);
    say.groups = 1; /* one less */
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    order_call(&id, &template, "media", false);
    is_refused(&id, SPAWN_STEP_TEMPLATE, ESRCH);
    order_template(&next, "app", "exec sleep 600");
    expect_id(SPAWN_M_STARTED, &next);
    order_call(&id, &next, "media", false); /* is handed on */
    has_the_account("media", "uid=61001 gid=61003 groups=61003,70000\n");
    assert_int_equal(log_count("MS0371"), 0);
}

/* ---- the list as a message ---- */

static void is_not_taken(const char *text)
{
    send_configure(SPAWN_RELEASE);
    expect_control(SPAWN_M_NOT_READY);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), text))
        fail_msg("'%s' is not told: %s", text,
                 spawn_str_or(&message, SPAWN_A_TEXT, ""));
}

static void a_list_that_cannot_be_right_changes_nothing(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    say.media = 0;
    is_not_taken("Operation not permitted");
    say.media = UINT32_MAX;
    is_not_taken("Invalid argument");
    say.media = MEDIA | 1ull << 32;
    is_not_taken("Invalid argument");
    say.media = MEDIA;
    say.groups = 257;
    is_not_taken("Argument list too long");
    say.groups = 2;
    say.no_gid = true;
    is_not_taken("Bad message");
    has_the_account("media", OF_MEDIA);
    say.no_gid = false;
    say.groups = 256;
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

static void without_a_list_all_have_one_account(void **state)
{
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    configure_more = NULL;
    reach_ready();
    has_the_account("media", OF_DEFAULT);
    has_the_account(NULL, OF_DEFAULT);
    order_template(&id, "any", WHO);
    runs_to_its_end(&id);
    said(OF_DEFAULT);
}

static void an_account_without_the_right_to_it(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() == 0, "root may set them");
    is_not_taken("Operation not permitted");
    expect_log("MS0370: the spawner runs as uid");
}

static void the_list_holds_over_an_upgrade(void **state)
{
    spawn_id template, id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    order_template(&template, "app", "exec sleep 600");
    expect_id(SPAWN_M_STARTED, &template);
    send_configure("0.0-another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, &template);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    expect_log("MS0315");
    has_the_account("media", OF_MEDIA);
    order(&id, "unknown", "echo it ran");
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    order_call(&id, &template, "reports", false);
    is_refused(&id, SPAWN_STEP_UID, EPERM);
    /* and so does what is known of a template's account */
    say.groups = 3;
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    order_call(&id, &template, "media", false);
    is_refused(&id, SPAWN_STEP_TEMPLATE, ESRCH);
}

/* ---- orphans ---- */

/* A process of this account that waits to be ended. */
static pid_t stranger(uid_t uid, bool leads)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (leads)
            (void)setsid();
        if (setresgid(GROUP, GROUP, GROUP) < 0 || setresuid(uid, uid, uid) < 0)
            _exit(3);
        (void)!write(ready[1], "x", 1);
        (void)close(ready[1]);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void order_signal_of(pid_t pid, int64_t noted, int signo)
{
    spawn_writer w;
    spawn_id id;

    new_id(&id);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)noted);
    send_on(link_fd, &w, NULL, 0);
}

static void is_left_alone(pid_t pid)
{
    int status;

    has_the_account("media", OF_MEDIA); /* messages before it were obeyed */
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL); /* our child, not reaped */
    (void)waitpid(pid, NULL, 0);
}

static void an_orphan_of_a_listed_account_is_signalled(void **state)
{
    int64_t now;
    pid_t pid;
    int status;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    reach_ready();
    pid = stranger(MEDIA, true);
    order_signal_of(pid, spawn_boot_ms(), SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGTERM);

    pid = stranger(NO_JOBS, true); /* no account of jobs */
    order_signal_of(pid, spawn_boot_ms(), SIGTERM);
    is_left_alone(pid);
    end(pid);
    pid = stranger(MEDIA, false); /* it leads no session */
    order_signal_of(pid, spawn_boot_ms(), SIGTERM);
    is_left_alone(pid);
    end(pid);
    pid = stranger(MEDIA, true); /* another one had that number */
    now = spawn_boot_ms();
    order_signal_of(pid, now - 1000, SIGTERM);
    order_signal_of(pid, now + 120000, SIGTERM);
    is_left_alone(pid);
    end(pid);
    order_signal_of(getpid(), now, SIGTERM); /* root's */
    order_signal_of(1, 0, SIGTERM);
    order_signal_of(0, 0, SIGTERM);
    order_signal_of(-1, 0, SIGTERM);
    has_the_account("media", OF_MEDIA);
    expect_log("MS0372");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_has_the_account_of_its_queue,
                                        start, stop_spawner),
        cmocka_unit_test_setup_teardown(nothing_is_left_of_root, start,
                                        stop_spawner),
        cmocka_unit_test_setup_teardown(what_is_not_listed_is_refused, start,
                                        stop_spawner),
        cmocka_unit_test_setup_teardown(
            a_template_has_the_account_that_it_is_listed_with, start,
            stop_spawner),
        cmocka_unit_test_setup_teardown(
            a_call_comes_from_a_template_of_its_account, start, stop_spawner),
        cmocka_unit_test_setup_teardown(a_template_of_other_groups_is_not_kept,
                                        start, stop_spawner),
        cmocka_unit_test_setup_teardown(
            a_list_that_cannot_be_right_changes_nothing, start, stop_spawner),
        cmocka_unit_test_setup_teardown(without_a_list_all_have_one_account,
                                        start, stop_spawner),
        cmocka_unit_test_setup_teardown(an_account_without_the_right_to_it,
                                        start, stop_spawner),
        cmocka_unit_test_setup_teardown(the_list_holds_over_an_upgrade, start,
                                        stop_spawner),
        cmocka_unit_test_setup_teardown(
            an_orphan_of_a_listed_account_is_signalled, start, stop_spawner),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
