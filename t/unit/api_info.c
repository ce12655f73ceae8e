/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers to other modules, in structs of the size that they know: of an
 * older header, of a newer one, of none.
 */
#include "t/unit/corner.h"
#include "t/unit/api_world.h"

#include "module/api_info.h"

#define X_CODE(n, NAME, name, text) n,
static const int codes[] = {SPAWN_ERROR_LIST(X_CODE)};

/* ---- the layout that modules were built with ---- */

static void the_layout_never_changes(void **state)
{
    (void)state;
    LEAVE_OUT_IF(sizeof(void *) != 8, "it is the layout of 64 bits");
    assert_int_equal(offsetof(spawn_job_failure, code), 8);
    assert_int_equal(offsetof(spawn_job_failure, error), 12);
    assert_int_equal(offsetof(spawn_job_failure, code_name), 16);
    assert_int_equal(offsetof(spawn_job_failure, step), 24);
    assert_int_equal(offsetof(spawn_job_failure, message), 32);
    assert_int_equal(sizeof(((spawn_job_failure *)0)->message), 320);
    assert_int_equal(offsetof(spawn_job_info, id), 8);
    assert_int_equal(offsetof(spawn_job_info, state), 48);
    assert_int_equal(offsetof(spawn_job_info, end), 52);
    assert_int_equal(offsetof(spawn_job_info, exit_code), 56);
    assert_int_equal(offsetof(spawn_job_info, signal), 60);
    assert_int_equal(offsetof(spawn_job_info, core), 64);
    assert_int_equal(offsetof(spawn_job_info, attempt), 68);
    assert_int_equal(offsetof(spawn_job_info, error), 72);
    assert_int_equal(offsetof(spawn_job_info, step), 80);
    assert_int_equal(offsetof(spawn_job_info, pid), 88);
    assert_int_equal(offsetof(spawn_job_info, queue), 96);
    assert_int_equal(offsetof(spawn_job_info, label), 104);
    assert_int_equal(offsetof(spawn_job_info, message), 112);
    assert_int_equal(offsetof(spawn_job_info, submitted), 120);
    assert_int_equal(offsetof(spawn_job_info, started), 128);
    assert_int_equal(offsetof(spawn_job_info, ended), 136);
    assert_int_equal(offsetof(spawn_job_info, elapsed), 144);
    assert_int_equal(offsetof(spawn_job_info, out), 152);
    assert_int_equal(offsetof(spawn_job_info, err), 184);
    assert_int_equal(sizeof(spawn_job_output), 32);
    /* the first release's; a later one is larger */
    assert_in_range(sizeof(spawn_job_info), 216, 16384);
    assert_in_range(sizeof(spawn_job_failure), 352, 16384);
}

/* ---- sizes ---- */

static bool runs(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_RUNNING,
             SPAWN_OUTCOME_NONE);
    return true;
}

static const char id[] = "0190a5b4-4c6e-7cde-8f01-23456789abcd";

/* A header of the first release: its structs end where ours had ended then. */
static void an_older_header_gets_what_it_knows(void **state)
{
    struct {
        spawn_job_info info;
        char guard[64];
    } small;
    struct {
        spawn_job_failure why;
        char guard[64];
    } failed;
    size_t i;

    (void)state;
    atomic_store(&broker.serve, runs);
    memset(&small, 0x55, sizeof(small));
    memset(&failed, 0x55, sizeof(failed));
    small.info.size = 216;
    failed.why.size = 352;
    assert_int_equal(
        spawn_job_status(NULL, pool, id, 0, &small.info, &failed.why),
        APR_SUCCESS);
    assert_int_equal(small.info.size, 216);
    assert_int_equal(small.info.state, SPAWN_JOB_RUNNING);
    assert_string_equal(small.info.queue, "default");
    assert_int_equal(failed.why.size, 352);
    assert_string_equal(failed.why.message, "");
    for (i = 216; i < sizeof(small); i++)
        assert_int_equal(((char *)&small)[i], 0x55);
    for (i = 352; i < sizeof(failed); i++)
        assert_int_equal(((char *)&failed)[i], 0x55);
}

/* A later release knows more than that. */
static void what_it_does_not_know_is_not_written(void **state)
{
    struct {
        apr_size_t size;
        int known[2], guard[2];
    } to = {.guard = {5, 5}};
    static const struct {
        apr_size_t size;
        int known[2], more[100];
    } from = {sizeof(from), {1, 2}, {3, 4}};

    (void)state;
    to.size = offsetof(__typeof__(to), guard);
    spawn_api_copy(&to, &from, sizeof(from));
    assert_int_equal(to.size, offsetof(__typeof__(to), guard));
    assert_int_equal(to.known[0], 1);
    assert_int_equal(to.known[1], 2);
    assert_int_equal(to.guard[0], 5);
    assert_int_equal(to.guard[1], 5);
}

static void a_newer_header_gets_zeros(void **state)
{
    struct {
        spawn_job_info info;
        char more[40], guard[8];
    } large;
    size_t i;

    (void)state;
    atomic_store(&broker.serve, runs);
    memset(&large, 0x55, sizeof(large));
    large.info.size = offsetof(__typeof__(large), guard);
    assert_int_equal(spawn_job_status(NULL, pool, id, 0, &large.info, NULL),
                     APR_SUCCESS);
    assert_int_equal(large.info.size, offsetof(__typeof__(large), guard));
    assert_int_equal(large.info.state, SPAWN_JOB_RUNNING);
    for (i = 0; i < sizeof(large.more); i++)
        assert_int_equal(large.more[i], 0);
    for (i = 0; i < sizeof(large.guard); i++)
        assert_int_equal(large.guard[i], 0x55);
}

static void a_size_that_nobody_has_set_is_refused(void **state)
{
    static const apr_size_t sizes[] = {0, 1, 8, 215, 16385, (apr_size_t)-1};
    spawn_job_failure bad;
    spawn_job_info none;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(&none, 0x55, sizeof(none));
        memset(&bad, 0x55, sizeof(bad));
        none.size = bad.size = sizes[i];
        assert_int_equal(
            spawn_job_submit(a_job(), SPAWN_UNTIL_ACCEPTED, 0, &none, &why),
            APR_EINVAL);
        assert_non_null(strstr(why.message, "info.size"));
        assert_int_equal(spawn_job_status(NULL, pool, id, 0, &none, &why),
                         APR_EINVAL);
        assert_int_equal(
            spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_STARTED, 0, &none, &why),
            APR_EINVAL);
        assert_int_equal(none.state, 0x55555555);
        assert_int_equal(
            spawn_job_submit(a_job(), SPAWN_UNTIL_ACCEPTED, 0, NULL, &bad),
            APR_EINVAL);
        assert_int_equal(spawn_job_kill(NULL, id, 15, &bad), APR_EINVAL);
        assert_int_equal(
            spawn_job_cleanup(a_job(), NULL, SPAWN_CLEANUP_ALWAYS, &bad),
            APR_EINVAL);
        assert_int_equal(bad.code, 0x55555555);
    }
    /* and nothing was sent */
    assert_int_equal(atomic_load(&broker.requests), 0);
}

/* ---- failures ---- */

static void each_code_has_a_status(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        spawn_failure f = {(spawn_error)codes[i], SPAWN_STEP_EXEC, EMFILE, ""};
        apr_status_t rv = spawn_api_fail(&why, &f);

        assert_true((rv == APR_SUCCESS) == (codes[i] == 0));
        assert_int_equal(why.code, codes[i]);
        assert_int_equal(why.error, EMFILE);
        assert_string_equal(why.code_name,
                            spawn_error_name((unsigned)codes[i]));
        assert_string_equal(why.step, "exec");
        assert_true((rv == EMFILE)
                    == (codes[i] == SPAWN_E_START_FAILED
                        || codes[i] == SPAWN_E_SYSTEM));
        /* an errno of 0 is no success */
        if (codes[i])
            assert_int_not_equal(spawn_api_status((spawn_error)codes[i], 0),
                                 APR_SUCCESS);
    }
    assert_int_equal(spawn_api_status((spawn_error)999, 1), APR_EGENERAL);
}

/* ---- a job ---- */

static void put_job(spawn_writer *w)
{
    spawn_id job;

    assert_int_equal(spawn_id_parse(id, &job), 0);
    spawn_writer_init(w, SPAWN_ANSWER_MAX);
    spawn_writer_begin(w, SPAWN_M_JOB, 0);
    spawn_put_id(w, SPAWN_A_ID, &job);
    spawn_put_u64(w, SPAWN_A_STATE, SPAWN_STATE_DONE);
    spawn_put_str(w, SPAWN_A_QUEUE, "images");
}

static void tell(spawn_writer *w)
{
    spawn_message m;
    spawn_id job;

    assert_int_equal(spawn_id_parse(id, &job), 0);
    assert_int_equal(spawn_writer_finish(w, 0), 0);
    assert_int_equal(
        spawn_message_parse(w->data, w->length, SPAWN_FROM_BROKER, 0, &m, NULL),
        0);
    spawn_api_tell(&info, pool, &job, &m);
    spawn_writer_free(w);
}

static void all_of_a_job_is_told(void **state)
{
    spawn_writer w;

    (void)state;
    put_job(&w);
    spawn_put_str(&w, SPAWN_A_LABEL, "a label");
    spawn_put_u64(&w, SPAWN_A_PID, 4711);
    spawn_put_u64(&w, SPAWN_A_OUTCOME, SPAWN_OUTCOME_SIGNALLED);
    spawn_put_u64(&w, SPAWN_A_SIGNAL, 11);
    spawn_put_u64(&w, SPAWN_A_CORE, 1);
    spawn_put_u64(&w, SPAWN_A_SUBMITTED_AT, 1000);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1001);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, 1002);
    spawn_put_u64(&w, SPAWN_A_ELAPSED, 1234);
    spawn_put_str(&w, SPAWN_A_TEXT, "it was killed");
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, 2);
    tell(&w);
    assert_string_equal(info.id, id);
    assert_int_equal(info.state, SPAWN_JOB_DONE);
    assert_int_equal(info.end, SPAWN_END_SIGNALLED);
    assert_int_equal(info.exit_code, -1);
    assert_int_equal(info.signal, 11);
    assert_int_equal(info.core, 1);
    assert_int_equal(info.attempt, 2);
    assert_int_equal(info.pid, 4711);
    assert_int_equal(info.error, 0);
    assert_string_equal(info.step, "none");
    assert_string_equal(info.queue, "images");
    assert_string_equal(info.label, "a label");
    assert_string_equal(info.message, "it was killed");
    assert_int_equal(info.submitted, 1000000);
    assert_int_equal(info.started, 1001000);
    assert_int_equal(info.ended, 1002000);
    assert_int_equal(info.elapsed, 1234);
    assert_null(info.out.data);
    assert_null(info.err.data);
}

static void output_is_told_with_what_is_missing(void **state)
{
    static uint8_t kept[SPAWN_KEPT_HEAD + 100];
    const uint64_t cuts[SPAWN_CUT_COUNT] = {7, 0, 0};
    spawn_writer w;

    (void)state;
    put_job(&w);
    spawn_put_bytes(&w, SPAWN_A_OUT, "o\0ut", 4);
    spawn_put_bytes(&w, SPAWN_A_ERR, "", 0);
    spawn_put_u64(&w, SPAWN_A_OUT_LOST, 5);
    tell(&w);
    assert_int_equal(info.out.length, 4);
    assert_memory_equal(info.out.data, "o\0ut", 5); /* with a NUL */
    assert_true(info.out.lost == 5);
    assert_int_equal(info.out.lost_at, 4);
    assert_string_equal(info.err.data, "");
    assert_int_equal(info.err.length, 0);
    assert_true(info.err.lost == 0);

    /* beginning and end, and some was lost before */
    put_job(&w);
    spawn_put_bytes(&w, SPAWN_A_OUT, kept, sizeof(kept));
    spawn_put_u64(&w, SPAWN_A_OUT_LOST, 5);
    spawn_put_u64v(&w, SPAWN_A_CUT, cuts, SPAWN_CUT_COUNT);
    tell(&w);
    assert_int_equal(info.out.length, sizeof(kept));
    assert_true(info.out.lost == 12);
    assert_int_equal(info.out.lost_at, SPAWN_KEPT_HEAD);

    put_job(&w);
    spawn_put_bytes(&w, SPAWN_A_OUT, "", 0);
    spawn_put_u64(&w, SPAWN_A_OUT_LOST, SPAWN_LOST_ALL);
    spawn_put_u64v(&w, SPAWN_A_CUT, cuts, SPAWN_CUT_COUNT);
    tell(&w);
    assert_true(info.out.lost == APR_UINT64_MAX);
    assert_int_equal(info.out.lost_at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_layout_never_changes),
        WORLD_TEST(an_older_header_gets_what_it_knows),
        WORLD_TEST(what_it_does_not_know_is_not_written),
        WORLD_TEST(a_newer_header_gets_zeros),
        WORLD_TEST(a_size_that_nobody_has_set_is_refused),
        WORLD_TEST(each_code_has_a_status),
        WORLD_TEST(all_of_a_job_is_told),
        WORLD_TEST(output_is_told_with_what_is_missing),
    };

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
