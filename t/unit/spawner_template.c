/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates that are httpd's own children, seen from the spawner: any number of
 * generations that live on for a job, their dismissal, signals for their jobs
 * and for themselves. The test plays the templates, too; what they tell of
 * processes is made up, where nothing else is said.
 */
#include <sys/prctl.h>

#include "t/unit/spawner_play.h"

/* More than one that is kept in a fixed place would ever have had. */
#define GENERATIONS 150

static int ends[GENERATIONS];
static spawn_id templates[GENERATIONS];
static spawn_id jobs[GENERATIONS];

/* A template is introduced as httpd does. Our end of its link, whose other one
 * has so much room (0: as it is). */
static int introduce(const spawn_id *id, pid_t pid, int pidfd, int room)
{
    int pair[2], fds[2];
    spawn_writer w;

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    if (room)
        (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    fds[0] = pair[1];
    fds[1] = pidfd;
    send_on(control, &w, fds, pidfd < 0 ? 1 : 2);
    (void)close(pair[1]);
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    spawn_put_str(&w, SPAWN_A_TEXT, "loaded");
    send_on(pair[0], &w, NULL, 0);
    expect_id(SPAWN_M_TEMPLATE_SAID, id);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "app");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), "loaded");
    return pair[0];
}

static void order(const spawn_id *job, const spawn_id *template)
{
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, template);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "A::b");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
}

/* This message comes to the template. */
static void expect_at(int end, unsigned type, const spawn_id *id)
{
    spawn_id got;

    next_message(end, SPAWN_FROM_BROKER_TO_SPAWNER);
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    assert_true(spawn_id_equal(&got, id));
}

static void expect_signal(int end, const spawn_id *job, int signo)
{
    expect_at(end, SPAWN_M_SIGNAL, job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNO, 0), signo);
}

static void tell(int end, uint16_t type, const spawn_id *job, pid_t pid)
{
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, job);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (type == SPAWN_M_CHILD_EXITED)
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 3 << 8);
    send_on(end, &w, NULL, 0);
}

static void run_job(int end, const spawn_id *job, const spawn_id *template,
                    pid_t pid)
{
    order(job, template);
    expect_at(end, SPAWN_M_LAUNCH, job);
    tell(end, SPAWN_M_LAUNCHED, job, pid); /* its template says so */
    tell(end, SPAWN_M_SET_UP, job, 0);
    expect_id(SPAWN_M_STARTED, job);
}

static void order_signal(const spawn_id *id, int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    send_on(link_fd, &w, NULL, 0);
}

/* ---- what is promised ---- */

/* httpd was restarted many times, and in each generation a job lives on. */
static void any_number_of_generations_lives_on(void **state)
{
    int i;

    (void)state;
    reach_ready();
    for (i = 0; i < GENERATIONS; i++) {
        new_id(&templates[i]);
        new_id(&jobs[i]);
        ends[i] = introduce(&templates[i], 4000000 + i, -1, 0);
        run_job(ends[i], &jobs[i], &templates[i], 4100000 + i);
        send_id(SPAWN_M_DISMISS, &templates[i]);
        expect_at(ends[i], SPAWN_M_DISMISS, &templates[i]);
    }
    for (i = 0; i < GENERATIONS; i++) { /* each is reached, and is heard */
        order_signal(&jobs[i], SIGTERM);
        expect_signal(ends[i], &jobs[i], SIGTERM);
        tell(ends[i], SPAWN_M_CHILD_EXITED, &jobs[i], 4100000 + i);
        expect_exit(&jobs[i], 3);
        (void)close(ends[i]);
        expect_id(SPAWN_M_EXITED, &templates[i]);
        send_id(SPAWN_M_FORGET, &jobs[i]);
        send_id(SPAWN_M_FORGET, &templates[i]);
    }
}

static void a_new_broker_hears_all_their_names(void **state)
{
    int i;

    (void)state;
    reach_ready();
    for (i = 0; i < GENERATIONS; i++) {
        new_id(&templates[i]);
        ends[i] = introduce(&templates[i], 4000000 + i, -1, 0);
    }
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    for (i = 0; i < GENERATIONS; i++) {
        expect_id(SPAWN_M_RUNNING, &templates[i]);
        assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""),
                            "app");
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_IS_TEMPLATE, 0), 2);
    }
    expect_link(SPAWN_M_TABLE_END);
    for (i = 0; i < GENERATIONS; i++)
        (void)close(ends[i]);
}

/* Neither a kill nor the dismissal is lost, and both come in order. */
static void what_a_full_link_does_not_take_comes_later(void **state)
{
    spawn_id template, job, more[200];
    spawn_id last;
    int end, back = 0, i;

    (void)state;
    reach_ready();
    new_id(&template);
    new_id(&job);
    new_id(&last);
    end = introduce(&template, 4000000, -1, 1);
    run_job(end, &job, &template, 4100000);
    for (i = 0; i < 200; i++) {
        new_id(&more[i]);
        order(&more[i], &template);
    }
    send_id(SPAWN_M_DISMISS, &template);
    order_signal(&job, SIGTERM);
    order_signal(&job, SIGKILL);
    launch(&last, "/bin/true", NULL, NULL); /* behind all of these */
    for (;;) { /* those that found no room come back */
        next_message(link_fd, SPAWN_FROM_SPAWNER);
        if (message.header.type != SPAWN_M_EXITED)
            break;
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0),
                         SPAWN_STEP_TEMPLATE);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_ERRNO, 0), EAGAIN);
        back++;
    }
    assert_true(back > 0 && back < 200);
    expect_exit(&last, 0);
    for (i = 0; i < 200 - back; i++)
        expect_at(end, SPAWN_M_LAUNCH, &more[i]);
    expect_at(end, SPAWN_M_DISMISS, &template);
    expect_signal(end, &job, SIGKILL); /* TERM would come too late */
    tell(end, SPAWN_M_CHILD_EXITED, &job, 4100000);
    expect_exit(&job, 3);
    (void)close(end);
}

static void a_dismissed_template_gets_no_order(void **state)
{
    spawn_id template, job, late;
    int end;

    (void)state;
    reach_ready();
    new_id(&template);
    new_id(&job);
    new_id(&late);
    end = introduce(&template, 4000000, -1, 0);
    run_job(end, &job, &template, 4100000);
    send_id(SPAWN_M_DISMISS, &template);
    send_id(SPAWN_M_DISMISS, &template);
    expect_at(end, SPAWN_M_DISMISS, &template);
    order(&late, &template);
    expect_failed(&late, SPAWN_STEP_TEMPLATE, EPIPE);
    order_signal(&job, SIGHUP);
    expect_signal(end, &job, SIGHUP); /* the next that comes, then */
    (void)close(end);
}

/* The one signal that is for a template: it does not answer. */
static void a_template_is_killed_by_its_pidfd(void **state)
{
    spawn_id template;
    int status, end, pidfd;
    pid_t pid;

    (void)state;
    reach_ready();
    new_id(&template);
    (void)fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setsid();
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    pidfd = spawn_os_pidfd(pid);
    assert_true(pidfd >= 0);
    end = introduce(&template, pid, pidfd, 0);
    order_signal(&template, SIGKILL);
    wait_readable(pidfd);
    (void)close(pidfd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(end);
}

/* A process that it forked, and that is stopped, has a copy of its end: the
 * test, here. Also when the spawner was upgraded meanwhile. */
static void its_end_is_seen_while_another_has_its_link(void **state)
{
    spawn_id template, job, told;
    int i, end, pidfd;
    pid_t pid;

    (void)state;
    reach_ready();
    for (i = 0; i < 2; i++) {
        new_id(&template);
        new_id(&job);
        (void)fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)close(relay);
            for (;;)
                (void)pause();
        }
        pidfd = spawn_os_pidfd(pid);
        assert_true(pidfd >= 0);
        end = introduce(&template, pid, pidfd, 0);
        (void)close(pidfd);
        order(&job, &template);
        expect_at(end, SPAWN_M_LAUNCH, &job);
        if (i == 1) {
            send_configure("another");
            do
                next_message(link_fd, SPAWN_FROM_SPAWNER);
            while (message.header.type != SPAWN_M_QUIT);
            drop_broker();
            take_link();
            do
                next_message(link_fd, SPAWN_FROM_SPAWNER);
            while (message.header.type != SPAWN_M_TABLE_END);
        }
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        do
            next_message(link_fd, SPAWN_FROM_SPAWNER);
        while (message.header.type != SPAWN_M_EXITED);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &told);
        assert_true(spawn_id_equal(&told, &job));
        expect_id(SPAWN_M_EXITED, &template);
        assert_int_equal(send(end, "", 0, MSG_NOSIGNAL), -1);
        (void)close(end);
    }
}

/* An empty packet is not its end. */
static void what_it_says_by_nothing_is_passed_over(void **state)
{
    spawn_id template, job;
    int end;

    (void)state;
    reach_ready();
    new_id(&template);
    new_id(&job);
    end = introduce(&template, 4000000, -1, 0);
    assert_int_equal(send(end, "", 0, 0), 0);
    assert_int_equal(send(end, "x", 1, 0), 1);
    run_job(end, &job, &template, 4100000);
    (void)close(end);
}

/* The template tells of a process before that one does: the same. Of one that
 * ended without a word: so far it came. */
static void the_template_tells_of_what_it_forked(void **state)
{
    spawn_id template, job, silent;
    int end;

    (void)state;
    reach_ready();
    new_id(&template);
    new_id(&job);
    new_id(&silent);
    end = introduce(&template, 4000000, -1, 0);
    order(&job, &template);
    expect_at(end, SPAWN_M_LAUNCH, &job);
    tell(end, SPAWN_M_LAUNCHED, &job, 4100000);
    order_signal(&job, SIGTERM); /* before it could tell anything */
    expect_signal(end, &job, SIGTERM);
    tell(end, SPAWN_M_FORKED, &job, 4100000);
    tell(end, SPAWN_M_SET_UP, &job, 0);
    expect_id(SPAWN_M_STARTED, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 4100000);

    order(&silent, &template);
    expect_at(end, SPAWN_M_LAUNCH, &silent);
    tell(end, SPAWN_M_LAUNCHED, &silent, 4100001);
    tell(end, SPAWN_M_CHILD_EXITED, &silent, 4100001);
    expect_exit(&silent, 3);
    tell(end, SPAWN_M_LAUNCHED, &silent, 4100001); /* late: nothing */
    tell(end, SPAWN_M_CHILD_EXITED, &job, 4100000);
    expect_exit(&job, 3);
    (void)close(end);
}

static void an_upgrade_keeps_what_was_not_told_yet(void **state)
{
    spawn_id template, job, more[200];
    int end, taken = 0, i;

    (void)state;
    reach_ready();
    new_id(&template);
    new_id(&job);
    end = introduce(&template, 4000000, -1, 1);
    run_job(end, &job, &template, 4100000);
    for (i = 0; i < 200; i++) {
        new_id(&more[i]);
        order(&more[i], &template);
    }
    send_id(SPAWN_M_DISMISS, &template);
    order_signal(&job, SIGTERM);
    send_configure("another");
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_QUIT);
    drop_broker();
    take_link();
    do { /* orders that found room */
        next_message(end, SPAWN_FROM_BROKER_TO_SPAWNER);
        taken++;
    } while (message.header.type == SPAWN_M_LAUNCH);
    assert_true(taken > 1 && taken < 200);
    assert_string_equal(spawn_message_name(message.header.type), "dismiss");
    expect_signal(end, &job, SIGTERM);
    (void)close(end);
}

int main(int argc, char **argv)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner)
    const struct CMUnitTest tests[] = {
        ALONE(any_number_of_generations_lives_on),
        ALONE(a_new_broker_hears_all_their_names),
        ALONE(what_a_full_link_does_not_take_comes_later),
        ALONE(a_dismissed_template_gets_no_order),
        ALONE(a_template_is_killed_by_its_pidfd),
        ALONE(its_end_is_seen_while_another_has_its_link),
        ALONE(what_it_says_by_nothing_is_passed_over),
        ALONE(the_template_tells_of_what_it_forked),
        ALONE(an_upgrade_keeps_what_was_not_told_yet)};

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_template", tests, NULL, NULL);
}
