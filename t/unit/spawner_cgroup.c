/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of jobs in the spawner: which jobs get one and with which
 * limits, and who is put there.
 */
#include "t/unit/spawner_cgroups.h"

static const uint64_t all_limits[] = {7, 1 << 20, 8, 150, 9, 50, 10, 30};
static const uint64_t cpu_limit[] = {8, 50};

#define LIMITED(is, limits)                                                    \
    order_of(is, limits, sizeof(limits) / sizeof((limits)[0]))

/* ---- where ---- */

static void without_a_place_jobs_have_none(void **state)
{
    job *j;

    (void)state;
    cgroup_configure("");
    j = add(1, 0);
    has_none(j, PROGRAM, 0);
    has_none(j, LIMITED(A_PROGRAM, cpu_limit), -EOPNOTSUPP);
    cgroup_enter(j, 77);
    cgroup_kill(j);
    cgroup_leave(j);
    cgroup_configure("auto"); /* and that is as usual */
    expect_logged("MS0388: jobs have no cgroups: the cgroup that httpd was "
                  "started in was not given to it");
    has_none(j, PROGRAM, 0);
    has_none(j, LIMITED(A_PROGRAM, cpu_limit), -EOPNOTSUPP);
    expect_no_line();
    expect_called("");
    assert_int_equal(cgroup_timers(mono), -1);

    cgroup_configure(in_dir("none"));
    assert_true(log_says("MS0385: jobs have no cgroups: /"));
    cgroup_configure(in_dir("none"));
    expect_logged("/none cannot be used: No such file or directory");
    has_none(j, PROGRAM, 0);
    assert_int_equal(cgroup_timers(mono), -1);
}

/* All that is logged when it begins, or when httpd is restarted. */
static const char *logged_by(bool begins, const char *where)
{
    static char text[4096];
    ssize_t n;

    spawner.cgroup.told_unlimited = !begins;
    cgroup_configure(where);
    n = read(log_end, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void is_told(const char *said, const char *why)
{
    assert_non_null(strstr(said, "MS0389: jobs with a limit of all their"));
    assert_non_null(strstr(said, why));
    assert_non_null(strstr(said, "DelegateSubgroup=mod_spawn.self"));
}

static void is_not_told(const char *said)
{
    assert_null(strstr(said, "MS0389"));
}

/* Which systemd has started, and which stays where it is: said once. */
static void an_external_spawner_says_that_there_are_no_limits(void **state)
{
    (void)state;
    is_external = true;
    is_told(logged_by(true, "auto"), "spawner: the cgroup that httpd was");
    is_not_told(logged_by(false, "auto"));
    (void)strcpy(own_path, top);
    controllers = SPAWN_CGROUP_CPU;
    has_processes = true;
    is_told(logged_by(true, "auto"), "spawner: it is itself in the cgroup of");
    is_not_told(logged_by(false, "auto"));
    is_not_told(logged_by(true, top)); /* which somebody has named */
    is_not_told(logged_by(true, ""));  /* and who wants none knows it */
    controllers = SPAWN_CGROUP_ALL;
    is_not_told(logged_by(true, "auto"));
    controllers = SPAWN_CGROUP_CPU;
    has_processes = false; /* it begins below it */
    is_not_told(logged_by(true, "auto"));
    has_processes = true;
    is_external = false; /* httpd's leaves its own */
    is_not_told(logged_by(true, "auto"));
    has_processes = false;
}

static void a_place_holds_until_the_next_one(void **state)
{
    job *old, *new;
    unsigned before;

    (void)state;
    make_one("a");
    make_one("b");
    cgroup_configure(top);
    expect_logged("MS0386: jobs have cgroups in /");
    old = add(1, 0);
    has_one(old, PROGRAM);
    assert_true(is_there(NAME("01")));
    before = open_count();
    cgroup_configure(top); /* the same, at a graceful restart */
    assert_int_equal(open_count(), before);
    assert_true(cgroup_is_current(old));
    cgroup_configure(in_dir("a"));
    assert_int_equal(open_count(), before + 1);
    assert_false(cgroup_is_current(old));
    new = add(2, 0);
    assert_int_equal(mkdir(in_dir("a/" NAME("02")), 0755), 0);
    assert_int_equal(rmdir(in_dir("a/" NAME("02"))), 0);
    {
        int fd;

        assert_int_equal(cgroup_make(new, PROGRAM, &fd), 0);
        (void)close(fd);
    }
    assert_true(is_there("a/" NAME("02")));
    cgroup_configure("");
    has_none(add(3, 0), PROGRAM, 0);
    /* each is removed where it is */
    cgroup_leave(old);
    cgroup_leave(new);
    assert_false(is_there(NAME("01")));
    assert_false(is_there("a/" NAME("02")));
    cgroup_configure(in_dir("b"));
    cgroup_configure(in_dir("a"));
    cgroup_configure(top);
    assert_int_equal(open_count(), before + 2);
    has_one(old, PROGRAM);
}

static void so_many_places_are_kept(void **state)
{
    char name[8];
    job *j, *jobs[8];
    unsigned i;

    (void)state;
    for (i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        make_one(name);
        cgroup_configure(in_dir(name));
        expect_logged("MS0386");
        jobs[i] = add((uint8_t)(10 + i), 0);
        jobs[i]->cgroup = (uint8_t)(i + 1); /* it is in there */
    }
    i = open_count();
    cgroup_configure(top);
    expect_logged("cannot be used: Too many open files");
    assert_int_equal(open_count(), i);
    j = add(1, 0);
    has_none(j, PROGRAM, 0);
    cgroup_configure(in_dir("7"));
    expect_logged("MS0386");
    assert_int_equal(cgroup_make(j, PROGRAM, (int *)&i), 0);
    (void)close((int)i);
    assert_true(is_there("7/" NAME("01")));
    cgroup_leave(j);
    /* one that no job is in makes room */
    i = open_count();
    jobs[3]->cgroup = 0;
    cgroup_configure(top);
    expect_logged("MS0386");
    assert_int_equal(open_count(), i);
    has_one(j, PROGRAM);
    assert_int_equal(j->cgroup, 4);
    cgroup_leave(j);
}

/* ---- a job's own ---- */

static void each_job_has_one_of_its_own(void **state)
{
    (void)state;
    cgroup_configure(top);
    has_one(add(1, 0), PROGRAM);
    has_one(add(2, 3), PROGRAM);
    has_one(add(3, 255), FUNCTION);
    assert_true(is_there(NAME("01")));
    assert_true(is_there(NAME("02") "-3"));
    assert_true(is_there(NAME("03") "-255"));
    assert_int_equal(entries_there(), 3);
    has_none(add(4, 0), order_of(A_TEMPLATE, NULL, 0), 0);
    has_none(add(5, 0), LIMITED(A_TEMPLATE, cpu_limit), 0);
    assert_int_equal(entries_there(), 3);
    expect_called("");
}

static void limits_are_those_of_the_directory(void **state)
{
    static const uint64_t unlimited[] = {7, UINT64_MAX, 8,  UINT64_MAX,
                                         9, UINT64_MAX, 10, UINT64_MAX,
                                         1, 30,         2,  1 << 30};
    static const uint64_t some[] = {1, 30, 9, 20, 8, UINT64_MAX};
    static const uint64_t memory[] = {7, UINT64_MAX - 1};

    (void)state;
    cgroup_configure(top);
    has_one(add(1, 0), LIMITED(A_PROGRAM, all_limits));
    expect_called("controllers; memory.swap.max = 0; memory.max = 1048576; "
                  "cpu.max = 150000 100000; pids.max = 50; cpu.weight = 30; ");
    has_one(add(2, 0), LIMITED(A_PROGRAM, unlimited));
    expect_called("");
    has_one(add(3, 0), LIMITED(A_FUNCTION, some));
    expect_called("controllers; pids.max = 20; ");
    has_one(add(4, 0), LIMITED(A_FUNCTION, memory));
    expect_called("controllers; memory.swap.max = 0; memory.max = "
                  "18446744073709551614; ");
    /* swap may be none of the kernel's */
    refused = "memory.swap.max";
    refused_error = ENOENT;
    has_one(add(5, 0), LIMITED(A_PROGRAM, all_limits));
}

/* A caller decides how often it is tried. */
static void what_cannot_be_had_is_not_asked_for_with_each_job(void **state)
{
    (void)state;
    cgroup_configure(top);
    controllers = 0;
    has_one(add(1, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
    mono += 999;
    has_one(add(2, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("cpu.max = 50000 100000; ");
    mono += 1;
    has_one(add(3, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
    cgroup_configure(top); /* with another directory it may be otherwise */
    has_one(add(4, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
}

/* Then the job does not start. */
static void a_limit_that_cannot_be_set_is_told(void **state)
{
    (void)state;
    cgroup_configure(top);
    refused = "cpu.max";
    refused_error = ENOENT;
    has_none(add(1, 0), LIMITED(A_PROGRAM, all_limits), -EOPNOTSUPP);
    refused_error = EINVAL;
    called[0] = '\0';
    has_none(add(2, 0), LIMITED(A_PROGRAM, all_limits), -EINVAL);
    expect_called("controllers; memory.swap.max = 0; memory.max = 1048576; "
                  "cpu.max = 150000 100000; ");
    refused = "memory.max";
    has_none(add(3, 0), LIMITED(A_PROGRAM, all_limits), -EINVAL);
    refused = "pids.max";
    has_none(add(4, 0), LIMITED(A_PROGRAM, all_limits), -EINVAL);
    refused = "cpu.weight";
    has_none(add(5, 0), LIMITED(A_PROGRAM, all_limits), -EINVAL);
    assert_int_equal(entries_there(), 0);
    assert_int_equal(cgroup_timers(mono), -1);
    assert_false(log_says("MS0387"));
}

static void without_room_for_one_a_job_goes_on(void **state)
{
    int fd;

    (void)state;
    cgroup_configure(top);
    fd = open(in_dir(NAME("01")), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)close(fd);
    has_none(add(1, 0), PROGRAM, 0);
    expect_logged("MS0387: no cgroup can be made for a job, which goes on "
                  "without: Not a directory");
    has_none(table_by_id(&(spawn_id){{1, 1, 0, 0, 0, 0, 0x70, 0, 0x80}}),
             LIMITED(A_PROGRAM, cpu_limit), -ENOTDIR);
    assert_false(log_says("MS0387"));
}

/* A child does not get the table. */
static job one_alone(void)
{
    const job one = {.id = {{1, 1, 0, 0, 0, 0, 0x70, 0, 0x80}}};

    return one;
}

static int without_a_descriptor(void)
{
    job j = one_alone();
    int fd = -7;

    no_more_descriptors();
    IS(cgroup_make(&j, PROGRAM, &fd) == 0);
    IS(fd == -1 && j.cgroup == 0);
    IS(!is_there(NAME("01")));
    IS(log_says("MS0387: no cgroup can be made for a job, which goes on "
                "without: Too many open files"));
    IS(cgroup_make(&j, LIMITED(A_PROGRAM, cpu_limit), &fd) == -EMFILE);
    IS(fd == -1 && j.cgroup == 0);
    IS(!is_there(NAME("01")));
    return 0;
}

static int without_the_right(void)
{
    job j = one_alone();
    int fd = -7;

    deny(SYS_mkdirat, EACCES);
    IS(cgroup_make(&j, PROGRAM, &fd) == 0);
    IS(fd == -1 && j.cgroup == 0);
    IS(log_says("MS0387: no cgroup can be made for a job, which goes on "
                "without: Permission denied"));
    IS(cgroup_make(&j, LIMITED(A_PROGRAM, cpu_limit), &fd) == -EACCES);
    IS(fd == -1 && j.cgroup == 0);
    return 0;
}

static void what_cannot_be_opened_is_not_left(void **state)
{
    (void)state;
    cgroup_configure(top);
    HOLDS_IN_A_CHILD(without_a_descriptor);
    HOLDS_IN_A_CHILD(without_the_right);
}

/* To move a process is slow for all: a function that is not limited stays where
 * its template is. */
static void in_our_own_a_function_has_one_with_limits_only(void **state)
{
    job *j;

    (void)state;
    (void)strcpy(own_path, top);
    cgroup_configure("auto");
    expect_logged("MS0386: jobs have cgroups in /");
    has_one(add(1, 0), PROGRAM);
    has_none(add(2, 0), FUNCTION, 0);
    assert_int_equal(entries_there(), 1);
    expect_called("");
    /* we leave it, so that it can give its controllers */
    controllers = SPAWN_CGROUP_CPU;
    j = add(3, 0);
    has_one(j, LIMITED(A_FUNCTION, cpu_limit));
    expect_called("step aside; controllers; cpu.max = 50000 100000; ");
    has_one(add(4, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
    /* systemd would have no place for the next spawner */
    is_external = true;
    controllers = SPAWN_CGROUP_CPU;
    has_one(add(7, 0), LIMITED(A_PROGRAM, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
    is_external = false;
    /* another one than ours is not */
    cgroup_configure(top);
    controllers = SPAWN_CGROUP_CPU;
    has_one(add(5, 0), FUNCTION);
    has_one(add(6, 0), LIMITED(A_FUNCTION, cpu_limit));
    expect_called("controllers; cpu.max = 50000 100000; ");
}

static void processes_are_put_there(void **state)
{
    job *j;

    (void)state;
    cgroup_configure(top);
    expect_logged("MS0386");
    j = add(1, 2);
    has_one(j, PROGRAM);
    assert_int_equal(cgroup_enter(j, 4194304), 0);
    expect_called(NAME("01") "-2/cgroup.procs = 4194304; ");
    cgroup_kill(j);
    expect_called(NAME("01") "-2/cgroup.kill = 1; ");
    refused = "cgroup.procs";
    refused_error = ESRCH; /* it has ended */
    assert_int_equal(cgroup_enter(j, 1), 0);
    expect_no_line();
    refused_error = EBUSY;
    assert_int_equal(cgroup_enter(j, 1), 0);
    expect_logged("MS0387: no cgroup can be made for a job, which goes on "
                  "without: Device or resource busy");
    j->limited = true;
    assert_int_equal(cgroup_enter(j, 1), -EBUSY);
    expect_no_line(); /* the job is told why it does not start */
    refused_error = ESRCH;
    assert_int_equal(cgroup_enter(j, 1), 0);
    refused = "cgroup.kill"; /* an old kernel has none */
    cgroup_kill(j);
    expect_no_line();
}

static void after_an_upgrade_they_are_where_they_were(void **state)
{
    job *j;

    (void)state;
    cgroup_configure(top);
    make_one(NAME("01"));
    j = add(1, 0);
    assert_false(cgroup_is_current(j));
    cgroup_resume(j, 0, true);
    assert_true(cgroup_is_current(j));
    assert_true(j->in_cgroup);
    cgroup_leave(j);
    assert_false(is_there(NAME("01")));
    cgroup_configure("");
    cgroup_resume(j, 0, false);
    assert_int_equal(j->cgroup, 0);
    assert_false(j->in_cgroup);
    assert_false(cgroup_is_current(j));
    cgroup_resume(j, 2, false); /* there is one */
    assert_int_equal(j->cgroup, 0);
    cgroup_resume(j, 1, false);
    assert_int_equal(j->cgroup, 1);
    j->cgroup = 0;
}

/* The release before had another path in the end: its jobs are in both. */
static void after_an_upgrade_earlier_places_are_known(void **state)
{
    int kept[2];
    job *j;

    (void)state;
    make_one("a");
    cgroup_configure(in_dir("a"));
    cgroup_configure(top);
    kept[0] = fcntl(cgroup_base(0), F_DUPFD_CLOEXEC, 0);
    kept[1] = fcntl(cgroup_base(1), F_DUPFD_CLOEXEC, 0);
    assert_int_equal(cgroup_base(2), -1);
    while (spawner.cgroup.bases_count > 0) /* the new self knows of none */
        (void)close(spawner.cgroup.bases[--spawner.cgroup.bases_count].fd);
    spawner.cgroup.base = 0;
    cgroup_resume_base(kept[0]);
    cgroup_resume_base(kept[1]);
    cgroup_configure(top);
    make_one("a/" NAME("01"));
    make_one("a/" NAME("02"));
    j = add(1, 0);
    cgroup_resume(j, 1, true);
    assert_false(cgroup_is_current(j));
    assert_true(j->in_cgroup);
    wall += 60;
    mono += 1000;
    (void)cgroup_timers(mono);
    assert_true(is_there("a/" NAME("01")));
    assert_false(is_there("a/" NAME("02"))); /* nobody's */
    cgroup_kill(j);
    expect_called(NAME("01") "/cgroup.kill = 1; ");
    cgroup_leave(j);
    assert_false(is_there("a/" NAME("01")));
}

static void memory_is_a_limit_of_its_own(void **state)
{
    static const uint64_t none[] = {7, UINT64_MAX}, some[] = {1, 30, 7, 4096};

    (void)state;
    assert_false(cgroup_limits_memory(PROGRAM));
    assert_false(cgroup_limits_memory(LIMITED(A_PROGRAM, cpu_limit)));
    assert_false(cgroup_limits_memory(LIMITED(A_PROGRAM, none)));
    assert_true(cgroup_limits_memory(LIMITED(A_PROGRAM, some)));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_place_jobs_have_none),
        T(an_external_spawner_says_that_there_are_no_limits),
        T(a_place_holds_until_the_next_one),
        T(so_many_places_are_kept),
        T(each_job_has_one_of_its_own),
        T(limits_are_those_of_the_directory),
        T(what_cannot_be_had_is_not_asked_for_with_each_job),
        T(a_limit_that_cannot_be_set_is_told),
        T(without_room_for_one_a_job_goes_on),
        T(what_cannot_be_opened_is_not_left),
        T(in_our_own_a_function_has_one_with_limits_only),
        T(processes_are_put_there),
        T(after_an_upgrade_earlier_places_are_known),
        T(memory_is_a_limit_of_its_own),
        T(after_an_upgrade_they_are_where_they_were),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_cgroup", tests, NULL, NULL);
}
