/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request looks at the workers that are lent, and at no others, however many
 * there are. In one process (broker_world.h), with slates that say that nothing
 * runs.
 */
#include "t/unit/broker_world.h"

#include "broker/job/template.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/report.h"

#include "broker/process/worker.c"

#define MANY 1000

static world w;
static spawn_pool pool;
static spawn_worker *workers_of_test[MANY];
static unsigned walked, looked;

/* ---- what lease.c uses and is not here ---- */

spawn_worker *__real_spawn_worker_next(const spawn_worker *of);
spawn_worker *__wrap_spawn_worker_next(const spawn_worker *of);
spawn_worker *__wrap_spawn_worker_next(const spawn_worker *of)
{
    walked++;
    return __real_spawn_worker_next(of);
}

int __wrap_spawn_slate_look(int board, spawn_slate *ret);
int __wrap_spawn_slate_look(int board, spawn_slate *ret)
{
    (void)board;
    looked++;
    memset(ret, 0, sizeof(*ret));
    return 0;
}

int __wrap_spawn_slate_begin(int board, uint32_t lease, pid_t pid, uid_t uid);
int __wrap_spawn_slate_begin(int board, uint32_t lease, pid_t pid, uid_t uid)
{
    (void)board;
    (void)lease;
    (void)pid;
    (void)uid;
    return 0;
}

int __wrap_spawn_slate_hold(int board);
int __wrap_spawn_slate_hold(int board)
{
    (void)board;
    return 0;
}

int __wrap_spawn_slate_finish(int board);
int __wrap_spawn_slate_finish(int board)
{
    (void)board;
    return 0;
}

int __wrap_spawn_worker_lend(spawn_worker *of, int direct);
int __wrap_spawn_worker_lend(spawn_worker *of, int direct)
{
    (void)of;
    (void)direct;
    return 0;
}

void __wrap_spawn_worker_take_back(spawn_worker *of);
void __wrap_spawn_worker_take_back(spawn_worker *of)
{
    (void)of;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    (void)job;
    (void)outcome;
    return NULL;
}

void spawn_end_arm(spawn_job *job, int64_t elapsed_ms)
{
    (void)job;
    (void)elapsed_ms;
}

void spawn_end_at_stop(spawn_job *job)
{
    (void)job;
}

void spawn_report_start(const spawn_job *job)
{
    (void)job;
}

/* ---- */

static int setup(void **s)
{
    int i;

    (void)s;
    begin(&w);
    spawn_leases_open(&w.batch);
    pool.queue = spawn_queue_get("q");
    for (i = 0; i < MANY; i++) {
        workers_of_test[i] = make(&pool);
        workers_of_test[i]->state = SPAWN_WORKER_BUSY;
        assert_int_equal(spawn_id_make(&workers_of_test[i]->id), 0);
    }
    return 0;
}

static int teardown(void **s)
{
    int i;

    (void)s;
    for (i = 0; i < MANY; i++)
        spawn_worker_free(workers_of_test[i]);
    end(&w);
    return 0;
}

static void lend(int i)
{
    static const spawn_ticket_owner owner;
    spawn_worker *its = workers_of_test[i];
    int fd;

    if (!its->ticket)
        its->ticket = spawn_ticket_make(&owner, 1, &fd);
    assert_non_null(its->ticket);
    spawn_lease_begin(its, 1, 1, -1);
}

/* How many slates a request for an id looks at. */
static unsigned looks(void)
{
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    walked = looked = 0;
    spawn_leases_look(&id);
    assert_int_equal(walked, 0);
    return looked;
}

static void a_request_looks_at_lent_workers_only(void **s)
{
    (void)s;
    assert_int_equal(looks(), 0);
    lend(3);
    lend(400);
    lend(999);
    assert_int_equal(looks(), 3);
    spawn_lease_over(workers_of_test[400], NULL);
    assert_int_equal(looks(), 2);
    lend(400);
    lend(0);
    assert_int_equal(looks(), 4);
    spawn_lease_over(workers_of_test[0], NULL);
    spawn_lease_over(workers_of_test[3], NULL);
    spawn_lease_over(workers_of_test[999], NULL);
    assert_int_equal(looks(), 1);
    spawn_lease_over(workers_of_test[400], NULL);
    assert_int_equal(looks(), 0);
    assert_null(spawn_worker_next_lent(NULL));
}

static void so_does_a_look_by_time(void **s)
{
    int64_t began = spawn_mono_ms();

    (void)s;
    lend(3);
    lend(400);
    while (spawn_mono_ms() == began) /* the next look is later than this one */
        ;
    walked = looked = 0;
    spawn_timers_run(spawn_timer_next());
    assert_int_equal(walked, 0);
    assert_in_range(looked, 2, 4); /* one that was unused for long twice */
    spawn_lease_over(workers_of_test[3], NULL);
    spawn_lease_over(workers_of_test[400], NULL);
}

static void one_that_is_asked_for_counts_until_it_is_back(void **s)
{
    (void)s;
    lend(7);
    spawn_lease_end(workers_of_test[7]);
    assert_int_equal(looks(), 1);
    spawn_lease_over(workers_of_test[7], NULL);
    assert_int_equal(looks(), 0);
}

static void one_that_is_freed_is_looked_at_no_more(void **s)
{
    (void)s;
    lend(5);
    lend(6);
    spawn_worker_free(workers_of_test[5]);
    assert_int_equal(looks(), 1);
    spawn_worker_free(workers_of_test[6]);
    assert_int_equal(looks(), 0);
    workers_of_test[5] = make(&pool);
    workers_of_test[6] = make(&pool);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        ALONE(a_request_looks_at_lent_workers_only),
        ALONE(so_does_a_look_by_time),
        ALONE(one_that_is_asked_for_counts_until_it_is_back),
        ALONE(one_that_is_freed_is_looked_at_no_more)};

    return cmocka_run_group_tests_name("leases_walk", tests, NULL, NULL);
}
