/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to templates over their links: orders, signals and dismissals go to
 * the template that they are for and wait for room. And the facts about one
 * that httpd introduces.
 */
#include <malloc.h>

#include "t/unit/spawner_templates.h"

static bool is_told(unsigned type, uint8_t n)
{
    spawn_id id, wanted = id_of(n);

    if (!comes(other_end, SPAWN_FROM_BROKER_TO_SPAWNER, type))
        return false;
    spawn_attr_id(&got.attr[SPAWN_A_ID], &id);
    return spawn_id_equal(&id, &wanted);
}

static bool is_signalled(uint8_t n, int signo)
{
    return is_told(SPAWN_M_SIGNAL, n)
           && (int)spawn_u64_or(&got, SPAWN_A_SIGNO, 0) == signo;
}

static unsigned fill(const job *template)
{
    static const char dummy[1024];
    unsigned n = 0;

    while (send(template->link, dummy, sizeof(dummy), MSG_NOSIGNAL) >= 0)
        n++;
    return n;
}

static void empty(unsigned n)
{
    static char room[2048];

    for (; n > 0; n--)
        assert_int_equal(recv(other_end, room, sizeof(room), 0), 1024);
}

/* ---- orders ---- */

static uint8_t order[256]; /* the last one */
static size_t order_length;

static int give_order(job *j, uint8_t template)
{
    spawn_id id = id_of(template);
    spawn_packet p;
    spawn_writer w;
    int rv;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "As::it_came");
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    memset(&p, 0, sizeof(p));
    p.data = w.data;
    p.length = w.length;
    p.fds[0] = spawn_os_memfd("handle");
    p.fds_count = 1;
    rv = template_order(j, &id, &p);
    assert_true(is_open(p.fds[0])); /* the caller closes it */
    assert_true(w.length <= sizeof(order));
    memcpy(order, w.data, w.length);
    order_length = w.length;
    spawn_packet_close(&p);
    spawn_writer_free(&w);
    return rv;
}

static void an_order_goes_to_its_template_as_it_came(void **state)
{
    job *template = have_template(1, 0), *j = have(9, JOB_STARTING, 0, 0);
    int64_t mono = spawn_mono_us(), boot = spawn_boot_ms();
    int64_t wall = spawn_wall_ms();

    (void)state;
    template_note_of(template)->uid = 4711;
    assert_int_equal(give_order(j, 1), 0);
    assert_int_equal(j->template, table_index(template));
    assert_int_equal(j->uid, 4711);
    assert_in_range(j->mono_us, mono, spawn_mono_us());
    assert_in_range(j->boot_ms, boot, spawn_boot_ms());
    assert_in_range(j->wall_ms, wall, spawn_wall_ms());
    assert_int_equal(spawn_packet_receive(other_end, part_buffer,
                                          sizeof(part_buffer), &part_packet),
                     1);
    assert_int_equal(part_packet.length, order_length);
    assert_memory_equal(part_packet.data, order, order_length);
    assert_int_equal(part_packet.fds_count, 1);

    assert_int_equal(give_order(j, 7), -ESRCH); /* nobody */
    (void)have(2, JOB_RUNNING, 0, 5);
    table_by_id(&(spawn_id){{2, 1}})->link = 0;
    assert_int_equal(give_order(j, 2), -ESRCH); /* no template */
    table_by_id(&(spawn_id){{2, 1}})->link = -1;
    template->state = JOB_ENDED;
    assert_int_equal(give_order(j, 1), -ESRCH);
    template->state = JOB_RUNNING;
    template_note_of(template)->dismissed = true;
    assert_int_equal(give_order(j, 1), -EPIPE);
    template_forget(template);
    assert_int_equal(give_order(j, 1), -EPIPE);
    spawn_close_fds(&template->link, 1);
    assert_int_equal(give_order(j, 1), -ESRCH);
    expect_closed(other_end);
}

/* ---- signals, dismissals ---- */

static void a_signal_goes_to_its_jobs_template(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;

    (void)state;
    j = have_job_of(template, 9, JOB_RUNNING, 500);
    assert_int_equal(template_signal(j, SIGTERM), 0);
    assert_true(is_signalled(9, SIGTERM));
    assert_false(spawn_has(&got, SPAWN_A_KILL_LEFT));
    j->flags |= JOB_LEFT_WAIT;
    assert_int_equal(template_signal(j, SIGTERM), 0);
    assert_true(is_signalled(9, SIGTERM));
    assert_int_equal(spawn_u64_or(&got, SPAWN_A_KILL_LEFT, 9), SPAWN_LEFT_WAIT);
    j->flags |= JOB_KILL_LEFT;
    assert_int_equal(template_signal(j, SIGKILL), 0);
    assert_true(is_signalled(9, SIGKILL));
    assert_int_equal(spawn_u64_or(&got, SPAWN_A_KILL_LEFT, 9), SPAWN_LEFT_KILL);
    assert_int_equal(j->pending_signal, 0);
    expect_called("");

    j->template = 0;
    assert_int_equal(template_signal(j, SIGTERM), -ESRCH);
    j->template = table_index(template);
    (void)close(other_end);
    assert_int_equal(template_signal(j, SIGTERM), -EPIPE);
    assert_int_equal(j->pending_signal, 0);
    spawn_close_fds(&template->link, 1);
    assert_int_equal(template_signal(j, SIGTERM), -ESRCH);
    expect_called("");
}

/* For room in the link; what is for others, or for who has none or has ended,
 * is not among it. */
static void signals_wait_for_room(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *other, *j, *more[5];
    int end_of_first = other_end;
    unsigned n, i;

    (void)state;
    other = have_template(2, JOB_FOREIGN);
    other_end = end_of_first;
    j = have_job_of(template, 9, JOB_RUNNING, 500);
    for (i = 0; i < 5; i++) {
        more[i] = have_job_of(i ? template : other, (uint8_t)(10 + i),
                              JOB_RUNNING, 510 + (int)i);
        more[i]->pending_signal = SIGHUP;
    }
    more[1]->pid = 0; /* of that one it is not known */
    more[2]->state = JOB_ENDED;
    more[3]->pending_signal = 0;
    n = fill(template);
    assert_int_equal(template_signal(j, SIGTERM), 0);
    expect_called("rewatch template in, out; ");
    assert_int_equal(j->pending_signal, SIGTERM);
    assert_int_equal(template_signal(j, SIGKILL), 0);
    assert_int_equal(template_signal(j, SIGTERM), 0);
    assert_int_equal(j->pending_signal, SIGKILL); /* the last word */
    called[0] = '\0';
    template_input(template);
    expect_called("rewatch template in, out; ");
    assert_int_equal(j->pending_signal, SIGKILL);
    empty(n);
    more[4]->state = JOB_STARTING;
    template_input(template);
    expect_called("rewatch template in; ");
    assert_true(is_signalled(9, SIGKILL));
    assert_true(is_signalled(14, SIGHUP));
    expect_quiet(other_end);
    assert_int_equal(j->pending_signal, 0);
    assert_int_equal(more[4]->pending_signal, 0);
    assert_int_equal(more[0]->pending_signal, SIGHUP);
    assert_int_equal(more[1]->pending_signal, SIGHUP);
    assert_int_equal(more[2]->pending_signal, SIGHUP);
    assert_false(template_note_of(template)->signals_wait);
    template_input(template); /* and no more */
    expect_called("");
    /* one that was forgotten has left its number and its template behind */
    table_remove(more[2]);
    n = fill(template);
    assert_int_equal(template_signal(j, SIGTERM), 0);
    empty(n);
    template_input(template);
    assert_true(is_signalled(9, SIGTERM));
    expect_quiet(other_end);
}

static void a_dismissal_is_told_once(void **state)
{
    job *template = have_template(1, 0), *none;
    template_note *n = template_note_of(template);
    unsigned full;

    (void)state;
    template_dismiss(template);
    assert_true(is_told(SPAWN_M_DISMISS, 1));
    assert_true(n->dismissed && !n->dismissal_waits);
    template_dismiss(template);
    expect_quiet(other_end);
    expect_called("rewatch template in; ");
    n->dismissed = false;
    full = fill(template);
    template_dismiss(template);
    expect_called("rewatch template in, out; ");
    assert_true(n->dismissal_waits);
    n->signals_wait = true; /* comes behind it */
    template_input(template);
    assert_true(n->dismissal_waits && n->signals_wait);
    called[0] = '\0';
    empty(full);
    template_input(template);
    assert_true(is_told(SPAWN_M_DISMISS, 1));
    assert_false(n->dismissal_waits || n->signals_wait);
    expect_called("rewatch template in; ");
    expect_quiet(other_end);

    n->dismissed = false; /* it has gone: that comes by its link */
    (void)close(other_end);
    template_dismiss(template);
    assert_false(n->dismissal_waits);
    n->dismissed = false;
    spawn_close_fds(&template->link, 1);
    called[0] = '\0';
    template_dismiss(template);
    assert_true(n->dismissed);
    expect_called("");
    none = have(3, JOB_RUNNING, JOB_IS_TEMPLATE, 5);
    template_dismiss(none); /* nothing is known of it */
    expect_called("");
}

static void after_an_upgrade_it_goes_on(void **state)
{
    job *own = have_template(1, 0), *foreign, *j;
    int end_of_own = other_end;

    (void)state;
    template_note_of(own)->dismissed = true;
    template_note_of(own)->dismissal_waits = true;
    foreign = have_template(2, JOB_FOREIGN);
    j = have_job_of(foreign, 9, JOB_RUNNING, 500);
    j->pending_signal = SIGTERM;
    j = have_job_of(own, 10, JOB_RUNNING, 501);
    j->pending_signal = SIGTERM; /* comes with its process */
    templates_resume();
    assert_true(is_signalled(9, SIGTERM));
    expect_quiet(other_end);
    other_end = end_of_own;
    assert_true(is_told(SPAWN_M_DISMISS, 1));
    expect_quiet(other_end);
    expect_called("rewatch template in; rewatch template in; ");
}

static void who_was_given_up_is_forgotten_there(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;

    (void)state;
    j = have_job_of(template, 9, JOB_RUNNING, 500);
    template_give_up(j);
    assert_true(is_told(SPAWN_M_FORGET, 9));
    j->template = 0;
    template_give_up(j);
    expect_quiet(other_end);
    j->template = table_index(template);
    spawn_close_fds(&template->link, 1);
    template_give_up(j);
    expect_closed(other_end);
    expect_no_line();
}

static void a_template_is_killed_by_its_pidfd_only(void **state)
{
    job *template = have_template(1, JOB_FOREIGN);
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        (void)setsid();
        for (;;)
            (void)pause();
    }
    assert_int_equal(template_kill(template, SIGKILL), -ESRCH);
    template_note_of(template)->pidfd = spawn_os_pidfd(pid);
    assert_int_equal(template_kill(template, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    template_forget(template);
    assert_int_equal(template_kill(template, SIGKILL), -ESRCH);
}

/* ---- httpd's ---- */

static void introduce(uint8_t n, const char *name, int *fds, unsigned count,
                      const char *text)
{
    spawn_id id = id_of(n);
    static spawn_message m;
    spawn_failure failure;
    spawn_packet p;
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, name);
    spawn_put_u64(&w, SPAWN_A_PID, 4000);
    if (text)
        spawn_put_str(&w, SPAWN_A_TEXT, text);
    assert_int_equal(spawn_writer_finish(&w, count), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length, SPAWN_FROM_PARENT,
                                         count, &m, &failure),
                     0);
    memset(&p, 0, sizeof(p));
    if (count > 0)
        memcpy(p.fds, fds, count * sizeof(int));
    p.fds_count = count;
    template_foreign(&m, &p);
    spawn_packet_close(&p); /* descriptors that nobody took */
    spawn_writer_free(&w);
}

static void httpd_introduces_its_own(void **state)
{
    spawn_id id = id_of(1);
    int fds[2], ends[2];
    int64_t wall = spawn_wall_ms();
    socklen_t size = sizeof(int);
    const job *j;
    int on = 0;

    (void)state;
    make_pair(ends);
    fds[0] = ends[0];
    fds[1] = spawn_os_memfd("pidfd");
    introduce(1, "app", fds, 2, NULL);
    j = table_by_id(&id);
    assert_non_null(j);
    assert_int_equal(j->state, JOB_RUNNING);
    assert_int_equal(j->flags, JOB_IS_TEMPLATE | JOB_FOREIGN);
    assert_int_equal(j->pid, 4000);
    assert_null(table_by_pid(4000));
    assert_int_equal(j->link, fds[0]);
    assert_in_range(j->wall_ms, wall, spawn_wall_ms());
    assert_true(j->mono_us > 0 && j->boot_ms > 0);
    assert_string_equal(template_note_of(j)->name, "app");
    assert_int_equal(template_note_of(j)->pidfd, fds[1]);
    assert_true(is_open(fds[0]) && is_open(fds[1]));
    /* its packets say who has sent them */
    assert_int_equal(getsockopt(j->link, SOL_SOCKET, SO_PASSCRED, &on, &size),
                     0);
    assert_int_equal(on, 1);
    expect_called("watch template in; watch its end in; ");
    /* the same once more: its descriptors are not kept */
    fds[0] = spawn_os_memfd("link");
    introduce(1, "app", fds, 1, NULL);
    assert_false(is_open(fds[0]));
    expect_called("");
    assert_int_equal(table_end(), 2);
    (void)close(ends[1]);

    make_pair(ends);
    introduce(2, "app", ends, 1, NULL);
    id = id_of(2);
    j = table_by_id(&id);
    assert_int_equal(template_note_of(j)->pidfd, -1);
    (void)close(ends[1]);
}

static int may_pass(int fd)
{
    int on = 1, byte = 0;
    socklen_t size = sizeof(on);

    (void)byte;
    return getsockopt(fd, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &on, &size) < 0
           || on == 0;
}

static void a_template_that_there_is_not_is_told(void **state)
{
    spawn_id id = id_of(1);
    const job *j;

    (void)state;
    introduce(1, "app", NULL, 0, "no memory");
    j = table_by_id(&id);
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(j->said, SAID_ABSENT);
    assert_int_equal(j->link, -1);
    assert_int_equal(j->flags, JOB_IS_TEMPLATE | JOB_FOREIGN | JOB_TELL_SAID
                                   | JOB_TELL_EXITED | JOB_IN_FIFO);
    assert_string_equal(template_note_of(j)->text, "no memory");
    assert_true(template_note_of(j)->last_word);
    assert_true(template_word_kept(j)); /* its broker forgets it */
    expect_called("");
    introduce(3, "other", NULL, 0, NULL);
    assert_ptr_equal(table_by_id(&id), j);
    introduce(2, "app", NULL, 0, NULL);
    assert_null(table_by_id(&id));
    id = id_of(2);
    assert_string_equal(template_note_of(table_by_id(&id))->text,
                        "it is not there");
}

static void it_passes_no_descriptors(void **state)
{
    spawn_id id = id_of(1);
    int ends[2];

    (void)state;
    make_pair(ends);
    introduce(1, "app", ends, 1, NULL);
    assert_true(may_pass(table_by_id(&id)->link));
    (void)close(ends[1]);
}

/* ---- what is known of them ---- */

/* Does this bring the text into a message? */
static bool brings(void (*put)(spawn_writer *, const job *), const job *j,
                   const char *text)
{
    spawn_writer w;
    size_t before;
    bool is;

    begin(&w, SPAWN_M_TEMPLATE_SAID);
    before = w.length;
    put(&w, j);
    is = text ? memmem(w.data, w.length, text, strlen(text) + 1) != NULL
              : w.length == before;
    spawn_writer_free(&w);
    return is;
}

static void each_has_a_note_until_it_is_forgotten(void **state)
{
    static const char *const names[] = {"", "app", "other"};
    job *j[3];
    int fd = spawn_os_memfd("pidfd");
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        j[i] = have((uint8_t)(1 + i), JOB_RUNNING, JOB_IS_TEMPLATE, 5);
        assert_true(brings(template_put_name, j[i], NULL));
        template_note_text(j[i], "nobody keeps it");
        assert_true(brings(template_put_text, j[i], NULL));
        spawner.job_as.uid = 700 + i;
        spawner.job_as.groups_count = i == 2 ? -1 : 0;
        assert_non_null(template_note_make(j[i], names[i]));
        assert_int_equal(template_note_of(j[i])->uid,
                         i == 2 ? getuid() : 700 + i);
    }
    for (i = 0; i < 3; i++)
        assert_true(brings(template_put_name, j[i], i ? names[i] : NULL));
    template_note_text(j[1], "first");
    template_note_text(j[1], "second");
    assert_true(brings(template_put_text, j[1], "second"));
    assert_true(brings(template_put_text, j[2], NULL));
    template_note_of(j[1])->pidfd = fd;
    template_note_of(j[1])->uid = (uid_t)log_end; /* no descriptor, there */
    j[1]->flags = 0;                              /* no template: no note */
    assert_null(template_note_of(j[1]));
    template_forget(j[1]);
    assert_true(is_open(fd));
    j[1]->flags = JOB_IS_TEMPLATE;
    template_forget(j[1]);
    template_forget(j[1]);
    assert_false(is_open(fd));
    assert_true(is_open(log_end));
    assert_null(template_note_of(j[1]));
    assert_true(brings(template_put_name, j[2], "other"));
    template_forget(j[2]);
    assert_non_null(template_note_of(j[0]));
}

static void what_is_forgotten_leaves_nothing(void **state)
{
    job *j = have(1, JOB_RUNNING, JOB_IS_TEMPLATE, 5);
    size_t before = mallinfo2().uordblks;
    unsigned i;

    (void)state;
    for (i = 0; i < 100; i++) {
        assert_non_null(template_note_make(j, "app"));
        template_note_text(j, "first");
        template_note_text(j, "second");
        template_forget(j);
    }
    assert_int_equal(mallinfo2().uordblks, before);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_order_goes_to_its_template_as_it_came),
        T(a_signal_goes_to_its_jobs_template),
        T(signals_wait_for_room),
        T(a_dismissal_is_told_once),
        T(after_an_upgrade_it_goes_on),
        T(who_was_given_up_is_forgotten_there),
        T(a_template_is_killed_by_its_pidfd_only),
        T(httpd_introduces_its_own),
        T(a_template_that_there_is_not_is_told),
        T(it_passes_no_descriptors),
        T(each_has_a_note_until_it_is_forgotten),
        T(what_is_forgotten_leaves_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_template_told", tests, NULL,
                                       NULL);
}
