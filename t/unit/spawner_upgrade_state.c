/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state that another self of the spawner has left and that is not as it
 * should be: what cannot be read starts nothing, what is not known is passed
 * over.
 */
#define PART_HAS_TABLE
#define PART_HAS_UPGRADE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

void reap_some(void)
{
    note("reap_some");
}

void job_leave_to_group(job *j)
{
    note("job_leave_to_group %u", table_index(j));
}

void templates_resume(void)
{
    note("templates_resume");
}

void clone_resume(job *j)
{
    note("clone_resume %u", table_index(j));
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/upgrade.c"
#include "spawner/resume.c"

static spawn_id id_of(uint8_t number_)
{
    spawn_id id = {
        {number_, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

    return id;
}

static uint8_t config[8192];
static size_t config_length;

static void make_config(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    static char path[4000]; /* more than a small piece of memory */
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, NULL, 0);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(&w, mark);
    memset(path, '/', sizeof(path) - 1);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, path);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/socket");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    config_length = w.length - SPAWN_WIRE_HEADER;
    memcpy(config, w.data + SPAWN_WIRE_HEADER, config_length);
    spawn_writer_free(&w);
}

static int wrong;

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            (void)dprintf(2, "# line %d: not so: %s\n", __LINE__, #what);      \
            wrong = 1;                                                         \
        }                                                                      \
    } while (0)

static job *the_job(uint8_t n)
{
    spawn_id id = id_of(n);
    job *j = table_by_id(&id);

    if (!j) {
        (void)dprintf(2, "# no job %d\n", n);
        _exit(2);
    }
    return j;
}

static int forged = -1;

static void add_bytes(const void *bytes, size_t length)
{
    assert_int_equal(write(forged, bytes, length), length);
}

static void add(spawn_writer *w)
{
    assert_int_equal(spawn_writer_finish(w, 0), 0);
    add_bytes(w->data, w->length);
    spawn_writer_free(w);
}

static void begin_self(spawn_writer *w)
{
    begin(w, SAVED_SELF);
    spawn_put_bytes(w, SPAWN_A_OUT, config, config_length);
}

static int resume_forged(void)
{
    int rv;

    no_state();
    spawner.job_as.uid = 4712;
    if (table_init() < 0)
        return 1;
    /* the next mapping stands before the last one */
    (void)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rv = resume(forged);
    if (rv < 0)
        return strstr(called, "broker_start") ? 1 : 2;
    return strstr(called, "broker_start") ? 0 : 1;
}

/* 0: taken; 2: refused, and nothing was started. */
static void expect_resumed(int (*how)(void), int result)
{
    assert_int_equal(in_a_child(how), result);
    (void)close(forged);
    forged = -1;
}

static void forge(void)
{
    make_config();
    forged = spawn_os_memfd("spawn-upgrade");
}

static void a_state_that_is_cut_off_starts_nothing(void **state)
{
    static uint8_t filler[3 * 4096];
    spawn_id id = id_of(1);
    spawn_writer w;

    (void)state;
    forge(); /* empty */
    expect_resumed(resume_forged, 2);
    expect_resumed(resume_forged, 2); /* there is none */
    forge();
    begin_self(&w);
    add(&w);
    expect_resumed(resume_forged, 0);
    forge(); /* it ends in a header */
    begin_self(&w);
    add(&w);
    add_bytes("\0\0\0", 3);
    expect_resumed(resume_forged, 2);
    forge(); /* or in a body */
    begin_self(&w);
    add(&w);
    begin(&w, SAVED_HELD);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_bytes(&w, SPAWN_A_OUT, filler,
                    3 * 4096 - (size_t)lseek(forged, 0, SEEK_END) - w.length
                        - SPAWN_WIRE_ATTR_HEADER);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    w.data[SPAWN_WIRE_HEADER - 2] = 0x20; /* of 2 MB more */
    add_bytes(w.data, w.length);
    spawn_writer_free(&w);
    expect_resumed(resume_forged, 2);
}

static void a_state_that_cannot_be_read_starts_nothing(void **state)
{
    spawn_id id = id_of(1);
    spawn_writer w;

    (void)state;
    forge(); /* something that is no header behind a whole message */
    begin_self(&w);
    add(&w);
    begin(&w, SAVED_HELD);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    add_bytes(w.data, w.length);
    w.data[0] = 0;
    add_bytes(w.data, w.length);
    spawn_writer_free(&w);
    expect_resumed(resume_forged, 2);
    forge(); /* no configuration */
    begin(&w, SAVED_SELF);
    spawn_put_u64(&w, SPAWN_A_CODE, 1);
    add(&w);
    expect_resumed(resume_forged, 2);
    forge(); /* one that is none */
    begin(&w, SAVED_SELF);
    spawn_put_bytes(&w, SPAWN_A_OUT, "rubbish", 7);
    add(&w);
    expect_resumed(resume_forged, 2);
    forge(); /* a job without an id, behind a whole one */
    begin_self(&w);
    add(&w);
    begin(&w, SAVED_JOB);
    spawn_put_u64(&w, SPAWN_A_PID, 1);
    add(&w);
    expect_resumed(resume_forged, 2);
    forge(); /* attributes that are none */
    begin_self(&w);
    spawn_put_u64(&w, SPAWN_A_CODE, 1);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    memset(w.data + w.length - 16, 0xff, 8);
    add_bytes(w.data, w.length);
    spawn_writer_free(&w);
    expect_resumed(resume_forged, 2);
}

static int resume_refused(void)
{
    config_result = -EPERM;
    return resume_forged();
}

static void a_configuration_that_cannot_be_taken_starts_nothing(void **state)
{
    spawn_writer w;

    (void)state;
    forge();
    begin_self(&w);
    add(&w);
    expect_resumed(resume_refused, 2);
}

/* An attribute that it does not know is passed over; one that is not sent has
 * no value. */
static int resume_strange(void)
{
    const job *j;
    unsigned i;

    if (resume_forged() != 0)
        return 1;
    wrong = 0;
    j = the_job(1);
    CHECK(j->state == JOB_RUNNING && j->pid == 0 && j->template == 0);
    CHECK(j->counts[0] == 0 && j->utime_us == 0);
    CHECK(!j->has_tree && table_tree(j)[0] == 0);
    CHECK(j->uid == 0);
    CHECK(j->pending_signal == 0 && j->said == 0); /* stand before keep */
    CHECK(j->keep[6] == 57 && j->keep[0] == 51 && j->keep[1] == -1);
    CHECK(j->group == -1 && j->next_id == 0 && j->elapsed_us == 0);
    CHECK(template_note_of(the_job(2))->name[0] == '\0');
    CHECK(template_note_of(the_job(2))->pidfd == -1);
    CHECK(template_note_of(the_job(2))->uid == 4712);
    CHECK(the_job(2)->template == 0);
    CHECK(held_first() && held_first()->count == SPAWN_FDS_MAX);
    for (i = 0; held_first() && i < SPAWN_FDS_MAX; i++)
        CHECK(held_first()->fds[i] == 200 + (int)i);
    CHECK(held_first() && !held_first()->next);
    CHECK(spawner.vhost_logs_count == SPAWN_VHOST_LOGS_MAX);
    CHECK(spawner.vhost_logs[SPAWN_VHOST_LOGS_MAX - 1]
          == 300 + SPAWN_VHOST_LOGS_MAX - 1);
    CHECK(spawner.vhost_logs[0] == 300); /* stands behind the roles */
    CHECK(spawner.reserve[0] == 0);      /* stands behind the failures */
    CHECK(spawner.life.bytes[0] == 3);
    CHECK(spawner.control == -1 && spawner.fds[SPAWN_FD_PARENT] == -1);
    CHECK(spawner.failures[0] == -1 && spawner.failures[1] == -1);
    CHECK(spawner.suid_dumpable == 0); /* stands behind them */
    CHECK(!strstr(called, "watch"));
    CHECK(table_end() == 3);
    return wrong;
}

static void put_job_1(spawn_writer *w)
{
    const uint64_t pairs[] = {
        50, 0,  51, 1,          57, SPAWN_KEEP_MAX, 58, SPAWN_KEEP_MAX + 1,
        59, 99, 60, KEEP_PIDFD, 61 /* nothing of it is said */};
    const uint64_t usage[SPAWN_RU_COUNT + 1] = {1, 2, 3};
    spawn_id id = id_of(1);

    begin(w, SAVED_JOB);
    spawn_put_id(w, SPAWN_A_ID, &id);
    spawn_put_u64(w, SPAWN_A_STATE, JOB_RUNNING);
    spawn_put_str(w, SPAWN_A_PID, "text");
    spawn_put_u64(w, 60000, 5);
    spawn_put_u64v(w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT + 1);
    spawn_put_u64v(w, SPAWN_A_FAULTS, usage, SPAWN_RU_TREE_COUNT + 1);
    spawn_put_u64v(w, SPAWN_A_KEEP, pairs, sizeof(pairs) / 8);
}

static void what_is_not_known_is_passed_over(void **state)
{
    uint64_t many[2 * (SPAWN_FDS_MAX + 3)];
    spawn_id id = id_of(2), other = id_of(33);
    spawn_writer w;
    unsigned i;

    (void)state;
    forge();
    begin_self(&w);
    for (i = 0; i < SPAWN_VHOST_LOGS_MAX + 2; i++) {
        many[2 * i] = 300 + i;
        many[2 * i + 1] = SPAWN_FD_VHOST_LOG;
    }
    many[2 * i] = 350; /* a role of another release */
    many[2 * i + 1] = SPAWN_FD_ROLES;
    many[2 * i + 2] = 351;
    many[2 * i + 3] = KEEP_FAILURES_OUT + 1;
    spawn_put_u64v(&w, SPAWN_A_KEEP, many, 2 * i + 4);
    spawn_put_u64(&w, SPAWN_A_SEQ, UINT32_MAX); /* no link */
    spawner.life.bytes[0] = 3;
    spawn_put_id(&w, SPAWN_A_INSTANCE, &spawner.life);
    add(&w);
    put_job_1(&w);
    add(&w);
    begin(&w, 999); /* a kind of message that there is not */
    spawn_put_id(&w, SPAWN_A_ID, &other);
    add(&w);
    begin(&w, SAVED_JOB); /* a template without a name, of nobody's */
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_STATE, JOB_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, JOB_IS_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &other);
    add(&w);
    for (i = 0; i < SPAWN_FDS_MAX + 2; i++) {
        many[2 * i] = 200 + i;
        many[2 * i + 1] = 0;
    }
    begin(&w, SAVED_HELD);
    spawn_put_id(&w, SPAWN_A_ID, &other);
    spawn_put_u64v(&w, SPAWN_A_KEEP, many, 2 * i);
    add(&w);
    expect_resumed(resume_strange, 0);
}

/* One that has ended waits for a broker that knows it: to be told of its end
 * again and again would make us spin. */
static int resume_templates(void)
{
    if (resume_forged() != 0)
        return 1;
    wrong = 0;
    CHECK(the_job(1)->link == 50 && the_job(2)->link == -1);
    CHECK(template_note_of(the_job(1))->pidfd == 51);
    CHECK(template_note_of(the_job(2))->pidfd == 52);
    CHECK(strcmp(called, "config_take 0; watch template in; watch its end in; "
                         "templates_resume; reap_some; broker_start; ")
          == 0);
    return wrong;
}

static void an_ended_template_is_not_watched(void **state)
{
    const uint64_t alive[] = {50, KEEP_LINK, 51, KEEP_PIDFD};
    const uint64_t ended[] = {52, KEEP_PIDFD};
    spawn_writer w;
    uint8_t n;

    (void)state;
    forge();
    begin_self(&w);
    spawn_put_u64(&w, SPAWN_A_SEQ, UINT32_MAX); /* no link */
    add(&w);
    for (n = 1; n <= 2; n++) {
        spawn_id id = id_of(n);

        begin(&w, SAVED_JOB);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        spawn_put_u64(&w, SPAWN_A_STATE, n == 1 ? JOB_RUNNING : JOB_ENDED);
        spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, JOB_IS_TEMPLATE | JOB_FOREIGN);
        spawn_put_u64v(&w, SPAWN_A_KEEP, n == 1 ? alive : ended,
                       n == 1 ? 4 : 2);
        add(&w);
    }
    expect_resumed(resume_templates, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_that_is_cut_off_starts_nothing),
        cmocka_unit_test(a_state_that_cannot_be_read_starts_nothing),
        cmocka_unit_test(a_configuration_that_cannot_be_taken_starts_nothing),
        cmocka_unit_test(what_is_not_known_is_passed_over),
        cmocka_unit_test(an_ended_template_is_not_watched),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_upgrade_state", tests, NULL,
                                       NULL);
}
