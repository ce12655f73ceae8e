/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from the links of templates, where code of users writes: a template
 * that tells of a process that is not its job is not believed.
 */
#include "t/unit/spawner_templates.h"

/* Is this in the log, of this template? */
static bool says_of(const job *template, const char *format)
{
    const char *rest = strstr(format, "%d") + 2;
    char text[256];

    (void)snprintf(text, sizeof(text), "%.*s%d%s", (int)(rest - 2 - format),
                   format, (int)template->pid, rest);
    return log_says(text);
}

static void say(job *template, uint16_t type, uint8_t n, int64_t pid)
{
    spawn_id id = id_of(n);
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    if (pid >= 0)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
}

static pid_t have_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (spawn_os_die_with_parent(SIGKILL) == 0)
            (void)pause();
        _exit(0);
    }
    return pid;
}

static void end_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void a_process_is_believed_when_it_is_a_child_of_ours(void **state)
{
    job *template = have_template(1, 0), *j, *known;
    pid_t child = have_child(), broker = have_child(), other = have_child();
    const int64_t wrong[] = {0, 1, getpid(), 1 << 30, broker, other};
    int64_t mono = spawn_mono_us();
    unsigned i;

    (void)state;
    spawner.broker_pid = broker;
    known = have(8, JOB_RUNNING, 0, 0);
    table_set_pid(known, other);
    j = have_job_of(template, 9, JOB_STARTING, 0);
    j->pending_signal = SIGTERM;
    for (i = 1; i < 6; i++) {
        say(template, SPAWN_M_FORKED, 9, wrong[i]);
        assert_int_equal(j->pid, 0);
        assert_true(says_of(template, "MS0316: template process %d told of a "
                                      "process "));
    }
    expect_called("");
    say(template, SPAWN_M_FORKED, 9, child);
    assert_int_equal(j->pid, child);
    assert_ptr_equal(table_by_pid(child), j);
    assert_int_equal(j->flags, 0);
    assert_int_equal(j->pending_signal, 0);
    assert_in_range(j->mono_us, mono, spawn_mono_us());
    assert_true(j->boot_ms > 0 && j->wall_ms > 0);
    {
        char expected[64];

        (void)snprintf(expected, sizeof(expected), "signal 15 to %d; ",
                       (int)child);
        expect_called(expected);
    }
    (void)log_says("");
    say(template, SPAWN_M_FORKED, 9, child); /* once more: nothing new */
    say(template, SPAWN_M_LAUNCHED, 9, child);
    expect_no_line();
    expect_called("");
    assert_int_equal(j->state, JOB_STARTING);
    end_child(child);
    end_child(broker);
    end_child(other);
}

static void who_asked_for_the_process_is_told(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;
    pid_t child = have_child(), own = getpid();

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    j->flags = JOB_PID_WANTED;
    say(template, SPAWN_M_FORKED, 9, own);
    assert_int_equal(j->flags,
                     JOB_PID_WANTED | JOB_FOREIGN | JOB_TELL_PID | JOB_IN_FIFO);
    assert_int_equal(j->pid, own);
    assert_null(table_by_pid(own));        /* its template reaps it */
    say(template, SPAWN_M_FORKED, 9, own); /* its template was faster */
    j = have_job_of(template, 10, JOB_STARTING, 0);
    say(template, SPAWN_M_LAUNCHED, 10, child);
    assert_int_equal(j->flags, JOB_FOREIGN);
    assert_int_equal(j->pid, child);
    expect_called("");
    expect_no_line();
    end_child(child);
}

/* Its word may become an order to signal that process, with root's right: the
 * kernel has to confirm it. */
static void a_foreign_one_names_no_process_of_others(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;
    pid_t child = have_child();

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    say(template, SPAWN_M_FORKED, 9, child); /* we speak, and not the child */
    expect_logged("MS0316: ");
    say(template, SPAWN_M_LAUNCHED, 9, 1);
    expect_logged("MS0316: ");
    template_note_of(template)->uid = getuid() + 1;
    say(template, SPAWN_M_LAUNCHED, 9, child);
    expect_logged("MS0316: ");
    say(template, SPAWN_M_FORKED, 9, getpid());
    expect_logged("MS0316: ");
    assert_int_equal(j->pid, 0);
    assert_int_equal(j->state, JOB_STARTING);
    expect_called("");
    template_note_of(template)->uid = getuid();
    say(template, SPAWN_M_LAUNCHED, 9, child);
    assert_int_equal(j->pid, child);
    end_child(child);
}

/* httpd may have forked it for another account than that of the configuration
 * which the pair goes on with. */
static void a_foreign_one_has_the_account_that_it_has(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;
    pid_t its = have_child(), child = have_child();

    (void)state;
    template->pid = its;
    template_note_of(template)->uid = getuid() + 1;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    say(template, SPAWN_M_LAUNCHED, 9, child); /* its process is not held */
    expect_logged("MS0316: ");
    template_note_of(template)->pidfd = spawn_os_pidfd(its);
    say(template, SPAWN_M_LAUNCHED, 9, child);
    assert_int_equal(j->pid, child);
    expect_no_line();
    spawn_close_fds(&template_note_of(template)->pidfd, 1);
    end_child(child);
    end_child(its);
}

/* Its limits would not hold. */
static void a_job_that_cannot_be_put_into_its_cgroup_is_killed(void **state)
{
    job *template = have_template(1, 0);
    pid_t child = have_child();
    char expected[64];

    (void)state;
    (void)have_job_of(template, 9, JOB_STARTING, 0);
    enter_error = -EBUSY;
    say(template, SPAWN_M_LAUNCHED, 9, child);
    enter_error = 0;
    (void)snprintf(expected, sizeof(expected), "signal 9 to %d; ", (int)child);
    expect_called(expected);
    expect_logged("cannot be put into its cgroup, without which its limits do "
                  "not hold: Device or resource busy");
    end_child(child);
}

/* Of jobs that are not its own, have begun, have another process, are none. */
static void it_speaks_for_its_own_jobs_only(void **state)
{
    job *other = have_template(2, JOB_FOREIGN), *template, *j, *running, *set;

    (void)state;
    template = have_template(1, JOB_FOREIGN);
    j = have_job_of(other, 9, JOB_STARTING, 0);
    running = have_job_of(template, 10, JOB_RUNNING, 0);
    set = have_job_of(template, 11, JOB_STARTING, 600);
    say(template, SPAWN_M_FORKED, 9, 700);
    assert_true(says_of(template, "MS0316: template process %d told of a "
                                  "process 700 that is not its job"));
    say(template, SPAWN_M_FORKED, 10, 701);
    expect_logged("MS0316: ");
    say(template, SPAWN_M_FORKED, 11, 702);
    expect_logged("MS0316: ");
    say(template, SPAWN_M_FORKED, 77, 703);
    expect_logged("MS0316: ");
    say(template, SPAWN_M_LAUNCHED, 9, 700);
    say(template, SPAWN_M_LAUNCHED, 10, 701);
    say(template, SPAWN_M_LAUNCHED, 11, 702);
    say(template, SPAWN_M_LAUNCHED, 77, 703);
    say(template, SPAWN_M_SET_UP, 9, -1);
    say(template, SPAWN_M_SET_UP, 77, -1);
    assert_true(j->pid == 0 && j->state == JOB_STARTING
                && j->flags == JOB_FOREIGN);
    assert_true(running->pid == 0 && running->state == JOB_RUNNING);
    assert_int_equal(set->pid, 600);
    expect_called("");
    expect_no_line();
}

static void a_process_that_has_gone_is_a_failed_start(void **state)
{
    job *template = have_template(1, 0), *j, *later;
    pid_t child = have_child();

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    say(template, SPAWN_M_LAUNCHED, 9, child + 100000);
    expect_called("failed fork 10; ");
    expect_logged("MS0331: the process ");
    assert_int_equal(j->pid, 0);
    (void)have_job_of(template, 11, JOB_STARTING, 0);
    say(template, SPAWN_M_LAUNCHED, 11, child + 100000);
    assert_false(log_says("MS0316")); /* that nobody lied */
    expect_called("failed fork 10; ");
    later = have_job_of(template, 10, JOB_STARTING, 0);
    say(template, SPAWN_M_LAUNCHED, 10, child);
    assert_int_equal(later->pid, child);
    expect_called("");
    end_child(child);
}

/* All orphans of jobs are children of ours, those of other accounts, too. */
static void who_has_another_account_is_not_its_job(void **state)
{
    job *template = have_template(1, 0), *j;
    pid_t child = have_child();

    (void)state;
    template_note_of(template)->uid = getuid() + 1;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    say(template, SPAWN_M_FORKED, 9, child);
    expect_logged("MS0316: ");
    say(template, SPAWN_M_LAUNCHED, 9, child);
    expect_logged("MS0316: ");
    assert_int_equal(j->pid, 0);
    assert_int_equal(j->state, JOB_STARTING);
    expect_called("");
    template_note_of(template)->uid = getuid();
    say(template, SPAWN_M_LAUNCHED, 9, child);
    assert_int_equal(j->pid, child);
    end_child(child);
}

static void say_set_up(job *template, uint8_t n, int step)
{
    spawn_id id = id_of(n);
    spawn_writer w;

    begin(&w, SPAWN_M_SET_UP);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, ENOENT);
    }
    send_on(other_end, &w, NULL, 0);
    template_input(template);
}

static void that_a_job_is_set_up_starts_it(void **state)
{
    job *template = have_template(1, 0), *j;

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 600);
    say_set_up(template, 9, 0);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->flags, JOB_TELL_STARTED | JOB_IN_FIFO);
    j = have_job_of(template, 10, JOB_STARTING, 600);
    say_set_up(template, 10, SPAWN_STEP_CWD); /* EXITED follows */
    assert_int_equal(j->state, JOB_STARTING);
    assert_int_equal(j->step, SPAWN_STEP_CWD);
    assert_int_equal(j->error, ENOENT);
    assert_int_equal(j->flags, 0);
    j = have_job_of(template, 11, JOB_STARTING, 0);
    say_set_up(template, 11, 0); /* a process that it has not told */
    assert_int_equal(j->state, JOB_STARTING);
    expect_called("");
    say_set_up(template, 11, SPAWN_STEP_FORK); /* it could not fork */
    expect_called("failed fork 2; ");
    j = have_job_of(template, 12, JOB_STARTING, 600);
    j->flags = JOB_GIVEN_UP;
    say_set_up(template, 12, 0);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->flags, JOB_GIVEN_UP);
}

/* SET_UP of a spare, which tells its process only now. */
static void say_spare_set_up(job *template, uint8_t n, pid_t pid, int step)
{
    spawn_id id = id_of(n);
    spawn_writer w;

    begin(&w, SPAWN_M_SET_UP);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (step)
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
}

static void say_spare(job *template, uint8_t n, pid_t pid)
{
    spawn_id id = id_of(n);
    spawn_writer w;

    begin(&w, SPAWN_M_LAUNCHED);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_SPARE, 1);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
}

/* Its end counts as the job's when it has told of itself, and not before. */
static void a_spare_has_its_order_when_it_tells_so(void **state)
{
    job *template = have_template(1, 0), *j;
    pid_t child = have_child(), other = have_child();

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    j->pending_signal = SIGTERM;
    say_spare(template, 9, child);
    assert_int_equal(j->pid, child);
    assert_int_equal(j->flags, JOB_SPARE);
    assert_ptr_equal(table_by_pid(child), j);
    say_spare_set_up(template, 9, other, 0); /* it lies */
    expect_logged("MS0316: ");
    assert_int_equal(j->state, JOB_STARTING);
    assert_int_equal(j->flags, JOB_SPARE);
    say(template, SPAWN_M_FORKED, 9, child);
    assert_int_equal(j->flags, 0);
    say_spare_set_up(template, 9, child, 0);
    assert_int_equal(j->state, JOB_RUNNING);
    say_spare(template, 9, child); /* late */
    assert_int_equal(j->flags, JOB_TELL_STARTED | JOB_IN_FIFO);
    j = have_job_of(template, 10, JOB_STARTING, 0);
    say_spare_set_up(template, 10, child, 0); /* of another job */
    expect_logged("MS0316: ");
    assert_int_equal(j->pid, 0);
    assert_int_equal(j->state, JOB_STARTING);
    say_spare_set_up(template, 10, other, 0); /* before its template */
    assert_int_equal(j->pid, other);
    assert_ptr_equal(table_by_pid(other), j);
    assert_int_equal(j->state, JOB_RUNNING);
    end_child(child);
    end_child(other);
}

static void a_spare_that_has_gone_never_had_it(void **state)
{
    job *template = have_template(1, 0), *j;
    pid_t child = have_child();

    (void)state;
    (void)have_job_of(template, 9, JOB_STARTING, 0);
    say_spare(template, 9, child + 100000);
    expect_called("failed template 11; ");
    expect_no_line();
    j = have_job_of(template, 10, JOB_STARTING, 0);
    say_spare_set_up(template, 10, child, SPAWN_STEP_CWD);
    assert_int_equal(j->pid, child);
    assert_int_equal(j->step, SPAWN_STEP_CWD);
    assert_int_equal(j->state, JOB_STARTING);
    expect_called("");
    end_child(child);
}

/* A signal that is ordered makes the end of its process the job's. */
static void what_is_signalled_is_no_spare(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;

    (void)state;
    j = have_job_of(template, 9, JOB_STARTING, 0);
    say_spare(template, 9, 700);
    assert_int_equal(j->flags, JOB_FOREIGN | JOB_SPARE);
    assert_int_equal(template_signal(j, SIGTERM), 0);
    assert_int_equal(j->flags, JOB_FOREIGN | JOB_SPARE | JOB_SHOT);
}

static void say_exited(job *template, uint8_t n)
{
    const uint64_t usage[SPAWN_RU_COUNT] = {1};
    spawn_id id = id_of(n);
    spawn_writer w;

    begin(&w, SPAWN_M_CHILD_EXITED);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 9);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
}

static void exits_are_told_of_its_own_children_only(void **state)
{
    job *other = have_template(2, JOB_FOREIGN), *template;

    (void)state;
    template = have_template(1, JOB_FOREIGN);
    (void)have_job_of(template, 9, JOB_RUNNING, 600);
    (void)have_job_of(other, 10, JOB_RUNNING, 601);
    have_job_of(template, 11, JOB_RUNNING, 602)->flags =
        0; /* a child of ours */
    (void)have_job_of(template, 12, JOB_ENDED, 603);
    say_exited(template, 10);
    say_exited(template, 11);
    say_exited(template, 12);
    say_exited(template, 77);
    expect_called("");
    say_exited(template, 9);
    expect_called("ended 9, 9 of usage; ");
}

static void what_was_preloaded_is_told_once(void **state)
{
    job *template = have_template(1, 0), *other;
    spawn_writer w;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) { /* a second word does not count */
        begin(&w, SPAWN_M_PRELOADED);
        spawn_put_u64(&w, SPAWN_A_CODE, i ? SPAWN_E_START_FAILED : SPAWN_E_OK);
        spawn_put_str(&w, SPAWN_A_TEXT, i ? "second" : "first");
        send_on(other_end, &w, NULL, 0);
        template_input(template);
        assert_int_equal(template->said, SAID_READY);
        assert_string_equal(template_note_of(template)->text, "first");
    }
    assert_int_equal(template->flags,
                     JOB_IS_TEMPLATE | JOB_TELL_SAID | JOB_IN_FIFO);
    other = have_template(2, 0);
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_START_FAILED);
    send_on(other_end, &w, NULL, 0);
    template_input(other);
    assert_int_equal(other->said, SAID_FAILED);
    assert_string_equal(template_note_of(other)->text, "");
}

static void what_is_not_understood_is_passed_over(void **state)
{
    job *template = have_template(1, 0);
    spawn_id id = id_of(9);
    spawn_writer w;
    int pipes[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    begin(&w, SPAWN_M_FORKED);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(other_end, &w, &pipes[1], 1); /* which process? */
    (void)close(pipes[1]);
    template_input(template);
    assert_true(says_of(template, "MS0317: template process %d sent what is "
                                  "not understood: "));
    assert_int_equal(read(pipes[0], &byte, 1), 0); /* nothing stays open */
    (void)close(pipes[0]);
    begin(&w, SPAWN_M_RETURNED); /* of workers, to their broker */
    send_on(other_end, &w, NULL, 0);
    template_input(template);
    expect_called("");
    assert_true(template->link >= 0);
}

/* A packet that is too long, and one whose descriptors have no room: what
 * stands behind them counts. */
static void what_cannot_be_taken_is_passed_over(void **state)
{
    static const char
        long_one[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1]; /* too */
    job *template = have_template(1, 0);
    struct rlimit files, none;
    spawn_id id = id_of(9);
    spawn_writer w;

    (void)state;
    assert_int_equal(send(other_end, long_one, sizeof(long_one), MSG_NOSIGNAL),
                     sizeof(long_one));
    template_input(template);
    assert_true(says_of(template, "MS0317: template process %d sent what is "
                                  "not understood: Message too long"));
    assert_true(template->link >= 0);

    begin(&w, SPAWN_M_FORKED);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(other_end, &w, &log_end, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    template_input(template);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_true(says_of(template, "MS0317: template process %d sent what is "
                                  "not understood: Too many open files"));
    assert_true(template->link >= 0);

    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
    assert_int_equal(template->said, SAID_READY);
}

static void send_strays(unsigned n)
{
    for (; n > 0; n--) {
        assert_int_equal(send(other_end, "x", 1, 0), 1);
        assert_int_equal(send(other_end, "", 0, 0), 0);
    }
}

/* Of whatever size: what stands behind it counts. */
static void a_stray_byte_is_passed_over(void **state)
{
    job *template = have_template(1, 0), *j;
    pid_t child = have_child();
    spawn_id id = id_of(9);
    spawn_writer w;

    (void)state;
    assert_int_equal(spawn_os_pass_credentials(template->link), 0);
    send_strays(3);
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    send_on(other_end, &w, NULL, 0);
    template_input(template);
    assert_int_equal(template->said, SAID_READY);
    assert_true(says_of(template, "MS0317: template process %d sent what is "
                                  "not understood: "));
    expect_called("");
    j = have_job_of(template, 9, JOB_STARTING, 0);
    send_strays(70);
    begin(&w, SPAWN_M_FORKED);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    send_on(other_end, &w, NULL, 0);
    templates_drain(); /* or it would be nobody's process */
    assert_int_equal(j->pid, child);
    end_child(child);
}

/* By then its number is a job's of another template, or it has begun, or the
 * job is forgotten. */
static void a_claim_is_of_a_job_that_starts(void **state)
{
    job *template = have_template(1, 0), *other = have_template(2, 0);
    job *j = have_job_of(template, 9, JOB_STARTING, 0);
    const job gone = {.id = id_of(10)};

    (void)state;
    claim(template, &gone, 702, false);
    assert_null(template_claimed(702, getuid()));
    claim(template, j, 700, false);
    j->template = table_index(other);
    assert_null(template_claimed(700, getuid()));
    j->template = table_index(template);
    j->state = JOB_RUNNING;
    assert_null(template_claimed(700, getuid()));
    j->state = JOB_STARTING;
    assert_null(template_claimed(701, getuid()));
    assert_null(template_claimed(700, getuid() + 1));
    assert_int_equal(j->pid, 0);
    assert_ptr_equal(template_claimed(700, getuid()), j);
    assert_int_equal(j->pid, 700);
    assert_null(template_claimed(700, getuid()));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_speaks_for_its_own_jobs_only),
        T(a_process_is_believed_when_it_is_a_child_of_ours),
        T(who_asked_for_the_process_is_told),
        T(a_foreign_one_names_no_process_of_others),
        T(a_foreign_one_has_the_account_that_it_has),
        T(a_job_that_cannot_be_put_into_its_cgroup_is_killed),
        T(a_process_that_has_gone_is_a_failed_start),
        T(who_has_another_account_is_not_its_job),
        T(that_a_job_is_set_up_starts_it),
        T(a_spare_has_its_order_when_it_tells_so),
        T(a_spare_that_has_gone_never_had_it),
        T(what_is_signalled_is_no_spare),
        T(a_claim_is_of_a_job_that_starts),
        T(exits_are_told_of_its_own_children_only),
        T(what_was_preloaded_is_told_once),
        T(what_is_not_understood_is_passed_over),
        T(what_cannot_be_taken_is_passed_over),
        T(a_stray_byte_is_passed_over),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_template_says", tests, NULL,
                                       NULL);
}
