/* SPDX-License-Identifier: Apache-2.0 */
/* How another module describes a job, and what becomes of that in a message. */
#include <fcntl.h>

#include "t/unit/api_world.h"

static void all_that_was_said_is_sent(void **state)
{
    static const char *const argv[] = {"/bin/echo", "", "two words", NULL};
    spawn_job *job = spawn_job_make(pool, NULL, NULL);
    const spawn_message *m = &world_submit;
    const spawn_attr *limits;

    (void)state;
    assert_int_equal(spawn_job_program(job, argv), APR_SUCCESS);
    assert_int_equal(spawn_job_option(job, "queue", "images"), APR_SUCCESS);
    assert_int_equal(spawn_job_option(job, "timeout", "1.5"), APR_SUCCESS);
    assert_int_equal(spawn_job_option(job, "nice", "5"), APR_SUCCESS);
    assert_int_equal(spawn_job_option(job, "stdout", "capture"), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "env", "A", "1"), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "env", "B", ""), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "env", "PATH", NULL), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "context", "for", "me"), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "limits", "cpu", "30"), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "limits", "files", "9"), APR_SUCCESS);
    assert_int_equal(spawn_job_data(job, "in\0put", 6), APR_SUCCESS);
    is_accepted(job);
    assert_string_equal(texts(m, SPAWN_A_ARGV), "/bin/echo  two words ");
    assert_int_equal(spawn_strv_count(&m->attr[SPAWN_A_ARGV]), 3);
    assert_string_equal(spawn_str_or(m, SPAWN_A_QUEUE, ""), "images");
    assert_int_equal(spawn_u64_or(m, SPAWN_A_TIMEOUT, 0), 1500);
    assert_int_equal(spawn_attr_i64(&m->attr[SPAWN_A_NICE]), 5);
    assert_int_equal(spawn_u64_or(m, SPAWN_A_REPLY, 9), SPAWN_REPLY_ACCEPTED);
    assert_string_equal(texts(m, SPAWN_A_ENV), "A=1 B= PATH ");
    assert_string_equal(texts(m, SPAWN_A_CONTEXT), "for=me ");
    limits = &m->attr[SPAWN_A_LIMITS];
    assert_int_equal(spawn_u64v_count(limits), 4);
    assert_int_equal(spawn_u64v_at(limits, 1), 30);
    assert_int_equal(spawn_u64v_at(limits, 3), 9);
    assert_int_equal(m->attr[SPAWN_A_STDIN_DATA].length, 6);
    assert_memory_equal(m->attr[SPAWN_A_STDIN_DATA].data, "in\0put", 6);
    assert_false(spawn_has(m, SPAWN_A_FUNCTION));
    assert_false(spawn_has(m, SPAWN_A_STDERR));
}

static void a_function_has_texts_as_arguments(void **state)
{
    static const char *const args[] = {"one", "", NULL};
    static const uint8_t wire[] = {0x3d, 0xf3, 'r', 'l', 3,   0,   0x28, 0x2b,
                                   2,    0x26, 3,   'o', 'n', 'e', 0x26, 0};
    const spawn_attr *sent = &world_submit.attr[SPAWN_A_ARGS];
    spawn_job *job = spawn_job_make(pool, NULL, NULL);
    spawn_stdio err;

    (void)state;
    assert_int_equal(spawn_job_function(job, "My::f", args), APR_SUCCESS);
    is_accepted(job);
    assert_string_equal(spawn_str_or(&world_submit, SPAWN_A_FUNCTION, ""),
                        "My::f");
    assert_int_equal(sent->length, sizeof(wire));
    assert_memory_equal(sent->data, wire, sizeof(wire));
    /* a value that its queue gives it is not said */
    assert_false(spawn_has(&world_submit, SPAWN_A_STDERR));

    job = spawn_job_make(pool, NULL, NULL);
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    assert_int_equal(spawn_job_option(job, "stderr", "null"), APR_SUCCESS);
    is_accepted(job);
    assert_false(spawn_has(&world_submit, SPAWN_A_ARGS));
    spawn_attr_stdio(&world_submit.attr[SPAWN_A_STDERR], &err);
    assert_int_equal(err.how, SPAWN_STDIO_NULL);
}

static void the_last_one_counts(void **state)
{
    static const char *const other[] = {"/bin/false", NULL};
    spawn_job *job = a_job();
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    spawn_stdio in;

    (void)state;
    (void)spawn_job_function(job, "My::f", NULL);
    is_accepted(job);
    assert_false(spawn_has(&world_submit, SPAWN_A_ARGV));
    (void)spawn_job_program(job, other);
    (void)spawn_job_option(job, "label", "first");
    (void)spawn_job_option(job, "label", "last");
    (void)spawn_job_pair(job, "env", "A", "1");
    (void)spawn_job_pair(job, "env", "A", "2");
    (void)spawn_job_pair(job, "limits", "cpu", "1");
    (void)spawn_job_pair(job, "limits", "cpu", "2");
    (void)spawn_job_data(job, "data", 4);
    (void)spawn_job_fd(job, 0, fd);
    (void)spawn_job_option(job, "stdin", "/dev/zero");
    is_accepted(job);
    assert_string_equal(texts(&world_submit, SPAWN_A_ARGV), "/bin/false ");
    assert_false(spawn_has(&world_submit, SPAWN_A_FUNCTION));
    assert_string_equal(spawn_str_or(&world_submit, SPAWN_A_LABEL, ""), "last");
    assert_string_equal(texts(&world_submit, SPAWN_A_ENV), "A=2 ");
    assert_int_equal(spawn_u64v_count(&world_submit.attr[SPAWN_A_LIMITS]), 2);
    assert_int_equal(spawn_u64v_at(&world_submit.attr[SPAWN_A_LIMITS], 1), 2);
    assert_int_equal(world_fds, 0);
    assert_false(spawn_has(&world_submit, SPAWN_A_STDIN_DATA));
    spawn_attr_stdio(&world_submit.attr[SPAWN_A_STDIN], &in);
    assert_int_equal(in.how, SPAWN_STDIO_PATH);

    (void)spawn_job_fd(job, 0, fd);
    (void)spawn_job_fd(job, 5, fd);
    (void)spawn_job_data(job, "", 0);
    is_accepted(job);
    assert_int_equal(world_fds, 1);
    spawn_attr_stdio(&world_submit.attr[SPAWN_A_STDIN], &in);
    assert_int_equal(in.how, SPAWN_STDIO_DATA);
    assert_int_equal(world_submit.attr[SPAWN_A_STDIN_DATA].length, 0);
    (void)close(fd);
}

static void what_is_given_is_copied(void **state)
{
    char program[] = "/bin/true", value[] = "text", data[] = "data";
    const char *argv[] = {program, NULL};
    spawn_job *job = spawn_job_make(pool, NULL, NULL);

    (void)state;
    (void)spawn_job_program(job, argv);
    (void)spawn_job_option(job, "label", value);
    (void)spawn_job_pair(job, "env", "A", value);
    (void)spawn_job_data(job, data, 4);
    argv[0] = NULL;
    memset(program, 'x', sizeof(program) - 1);
    memset(value, 'x', sizeof(value) - 1);
    memset(data, 'x', sizeof(data) - 1);
    is_accepted(job);
    assert_string_equal(texts(&world_submit, SPAWN_A_ARGV), "/bin/true ");
    assert_string_equal(spawn_str_or(&world_submit, SPAWN_A_LABEL, ""), "text");
    assert_string_equal(texts(&world_submit, SPAWN_A_ENV), "A=text ");
    assert_memory_equal(world_submit.attr[SPAWN_A_STDIN_DATA].data, "data", 4);
}

static request_rec *a_request(void)
{
    request_rec *r = apr_pcalloc(pool, sizeof(*r));
    apr_status_t rv = apr_pool_create(&r->pool, pool);

    assert_int_equal(rv, APR_SUCCESS);
    r->server = apr_pcalloc(r->pool, sizeof(*r->server));
    r->server->server_hostname = apr_pstrdup(r->pool, "a.example");
    r->subprocess_env = apr_table_make(r->pool, 1);
    r->notes = apr_table_make(r->pool, 1);
    r->log_id = apr_pstrdup(r->pool, "R1");
    r->method = apr_pstrdup(r->pool, "GET");
    r->unparsed_uri = apr_pstrdup(r->pool, "/x?y");
    r->useragent_ip = apr_pstrdup(r->pool, "127.0.0.9");
    return r;
}

static void the_request_is_the_context(void **state)
{
    request_rec *r = a_request();
    static const char *const argv[] = {"/bin/true", NULL};
    spawn_job *job = spawn_job_make(pool, r, NULL);
    apr_pool_t *next;
    int i;

    (void)state;
    (void)spawn_job_program(job, argv);
    (void)spawn_job_pair(job, "context", "method", "mine");
    (void)spawn_job_pair(job, "context", "client", NULL);
    (void)spawn_job_pair(job, "context", "more", "1");
    /* the job is of a pool that lives longer: others may have the memory */
    apr_pool_destroy(r->pool);
    assert_int_equal(apr_pool_create(&next, pool), APR_SUCCESS);
    for (i = 0; i < 20; i++)
        memset(apr_palloc(next, 8000), 0x55, 8000);
    is_accepted(job);
    assert_string_equal(
        texts(&world_submit, SPAWN_A_CONTEXT),
        "request_id=R1 vhost=a.example uri=/x?y method=mine more=1 ");
}

/* More context than a job may have. */
static void what_a_client_chooses_is_bounded(void **state)
{
    request_rec *r = a_request();
    char *big = memset(apr_pcalloc(pool, 9001), 'b', 9000);
    const char *got;
    spawn_job *job;

    (void)state;
    r->user = big;
    r->method = big;
    r->unparsed_uri = big;
    r->log_id = big;
    r->useragent_ip = big;
    job = spawn_job_make(NULL, r, NULL);
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    is_accepted(job);
    got = texts(&world_submit, SPAWN_A_CONTEXT);
    assert_int_equal(strlen(strstr(got, "request_id=")),
                     strlen("request_id= vhost=a.example user= client= uri= "
                            "method= ")
                         + 4 * 256 + 1000);
    assert_int_equal(strspn(strstr(got, "uri=") + 4, "b"), 1000);
    assert_int_equal(strspn(strstr(got, "user=") + 5, "b"), 256);
}

/* As httpd's logs have it. */
static void an_id_is_made_for_a_request_without_one(void **state)
{
    request_rec *r = a_request();
    conn_rec *c = apr_pcalloc(pool, sizeof(*c));

    (void)state;
    r->log_id = NULL;
    r->connection = c;
    (void)spawn_job_make(NULL, r, NULL);
    assert_string_equal(r->log_id, "made");
}

static void a_request_without_anything_is_one(void **state)
{
    request_rec *r = a_request();
    spawn_job *job;

    (void)state;
    r->server->server_hostname = NULL;
    r->log_id = r->method = r->unparsed_uri = NULL;
    r->useragent_ip = NULL;
    job = spawn_job_make(NULL, r, NULL);
    assert_int_equal(spawn_job_option(job, "label", "x"), APR_SUCCESS);
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    is_accepted(job);
    assert_false(spawn_has(&world_submit, SPAWN_A_CONTEXT));
}

/* ---- faults ---- */

static void the_first_fault_is_kept(void **state)
{
    spawn_job *job = a_job();

    (void)state;
    assert_int_equal(spawn_job_option(job, "timeuot", "1"), APR_EINVAL);
    assert_int_equal(spawn_job_option(job, "nice", "many"), APR_EINVAL);
    assert_int_equal(spawn_job_option(job, "nice", "1"), APR_SUCCESS);
    is_refused(job, SPAWN_FAIL_UNKNOWN_OPTION, "no option 'timeuot'");
    assert_string_equal(why.code_name, "unknown_option");
    assert_string_equal(why.step, "options");
    /* and again */
    is_refused(job, SPAWN_FAIL_UNKNOWN_OPTION, "no option 'timeuot'");
    assert_string_equal(info.id, spawn_job_id(job));
    assert_int_equal(info.state, SPAWN_JOB_UNKNOWN);
    assert_int_equal(
        spawn_job_cleanup(job, a_request(), SPAWN_CLEANUP_ALWAYS, &why),
        APR_EINVAL);
    assert_int_equal(why.code, SPAWN_FAIL_UNKNOWN_OPTION);
    assert_int_equal(world_cleanups, 0);
}

static void null_is_a_fault(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const empty[] = {"", NULL};
    static const struct {
        const char *what;
        int which;
    } all[] = {{"argv: no program", 0},         {"argv: no program", 1},
               {"argv: no program", 2},         {"function: no name", 3},
               {"function: no name", 4},        {"no option '(NULL)'", 5},
               {"label: the value is NULL", 6}, {"no option '(NULL)'", 7},
               {"'(NULL)' is not a name", 8},   {"'' is not a name", 9},
               {"'A=B' is not a name", 10},     {"cpu: '(NULL)'", 11},
               {"the data is NULL", 12},        {"either a program", 13}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        spawn_job *job = spawn_job_make(pool, NULL, NULL);
        apr_status_t rv = APR_EINVAL;

        switch (all[i].which) {
        case 0:
            rv = spawn_job_program(job, NULL);
            break;
        case 1:
            rv = spawn_job_program(job, nothing);
            break;
        case 2:
            rv = spawn_job_program(job, empty);
            break;
        case 3:
            rv = spawn_job_function(job, NULL, NULL);
            break;
        case 4:
            rv = spawn_job_function(job, "", NULL);
            break;
        case 5:
            rv = spawn_job_option(job, NULL, "x");
            break;
        case 6:
            rv = spawn_job_option(job, "label", NULL);
            break;
        case 7:
            rv = spawn_job_pair(job, NULL, "x", "x");
            break;
        case 8:
            rv = spawn_job_pair(job, "env", NULL, "x");
            break;
        case 9:
            rv = spawn_job_pair(job, "env", "", "x");
            break;
        case 10:
            rv = spawn_job_pair(job, "env", "A=B", "x");
            break;
        case 11:
            rv = spawn_job_pair(job, "limits", "cpu", NULL);
            break;
        case 12:
            rv = spawn_job_data(job, NULL, 1);
            break;
        default: /* nothing is said at all */
            break;
        }
        assert_int_equal(rv, APR_EINVAL);
        is_refused(job,
                   rv == APR_EINVAL && strstr(all[i].what, "no option")
                       ? SPAWN_FAIL_UNKNOWN_OPTION
                       : SPAWN_FAIL_INVALID,
                   all[i].what);
    }
}

static void no_job_is_a_fault(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL};

    (void)state;
    assert_null(spawn_job_make(NULL, NULL, NULL));
    assert_null(spawn_job_id(NULL));
    assert_int_equal(spawn_job_program(NULL, argv), APR_EINVAL);
    assert_int_equal(spawn_job_function(NULL, "f", NULL), APR_EINVAL);
    assert_int_equal(spawn_job_option(NULL, "label", "x"), APR_EINVAL);
    assert_int_equal(spawn_job_pair(NULL, "env", "x", "x"), APR_EINVAL);
    assert_int_equal(spawn_job_data(NULL, "x", 1), APR_EINVAL);
    assert_int_equal(spawn_job_fd(NULL, 0, 0), APR_EINVAL);
    assert_int_equal(
        spawn_job_submit(NULL, SPAWN_UNTIL_ACCEPTED, 0, NULL, NULL),
        APR_EINVAL);
    assert_int_equal(
        spawn_job_submit(NULL, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_EINVAL);
    assert_string_equal(why.message, "the job is NULL");
    assert_int_equal(
        spawn_job_cleanup(NULL, a_request(), SPAWN_CLEANUP_ALWAYS, NULL),
        APR_EINVAL);
    assert_int_equal(
        spawn_job_cleanup(a_job(), NULL, SPAWN_CLEANUP_ALWAYS, &why),
        APR_EINVAL);
    assert_string_equal(why.message, "the request is NULL");
    assert_int_equal(
        spawn_job_cleanup(a_job(), a_request(), (spawn_cleanup_when)4, &why),
        APR_EINVAL);
    assert_int_equal(spawn_job_submit(a_job(), (spawn_until)4, 0, NULL, &why),
                     APR_EINVAL);
    assert_int_equal(spawn_job_submit(a_job(), (spawn_until)-1, 0, NULL, &why),
                     APR_EINVAL);
    assert_int_equal(world_cleanups, 0);
    assert_int_equal(atomic_load(&broker.requests), 0);
}

static void an_option_has_its_own_function(void **state)
{
    static const struct {
        const char *name;
        bool pair;
        const char *said;
    } wrong[] = {{"reply", false, "argument 'until'"},
                 {"fds", false, "spawn_job_fd"},
                 {"fds", true, "spawn_job_fd"},
                 {"env", false, "spawn_job_pair"},
                 {"limits", false, "spawn_job_pair"},
                 {"label", true, "spawn_job_option"},
                 {"stdin", true, "spawn_job_option"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        spawn_job *job = a_job();

        assert_int_equal(wrong[i].pair
                             ? spawn_job_pair(job, wrong[i].name, "a", "b")
                             : spawn_job_option(job, wrong[i].name, "1"),
                         APR_EINVAL);
        is_refused(job, SPAWN_FAIL_INVALID, wrong[i].said);
    }
}

static char *text_of(apr_size_t length)
{
    char *text = apr_palloc(pool, length + 1);

    memset(text, 'x', length);
    text[length] = '\0';
    return text;
}

static void too_much_is_refused(void **state)
{
    char *huge = text_of(5u << 20);
    const char *argv[] = {"/bin/true", huge, NULL};
    spawn_job *job = a_job();

    (void)state;
    assert_int_equal(spawn_job_program(job, argv), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "argv: it has more than 4 MB");
    job = a_job();
    assert_int_equal(spawn_job_function(job, "My::f", argv), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "args: they have more than 4 MB");
    job = a_job();
    assert_int_equal(spawn_job_option(job, "label", huge), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "label: the value has 5242880 bytes");
    job = a_job();
    assert_int_equal(spawn_job_option(job, huge, "x"), APR_EINVAL);
    is_refused(job, SPAWN_FAIL_UNKNOWN_OPTION, "no option 'xxx");
    job = a_job();
    assert_int_equal(spawn_job_pair(job, "env", "A", huge), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "env: 'A' has more than 4 MB");
    job = a_job();
    assert_int_equal(spawn_job_pair(job, "env", huge, "x"), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "env: 'xxx");
    job = a_job();
    /* the length is looked at, and no byte behind it */
    assert_int_equal(spawn_job_data(job, huge, SPAWN_STDIN_MAX + 1),
                     APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "stdin: data of 16777217 bytes");
}

/* Each alone is allowed; client/ refuses them together. */
static void too_much_together_is_refused(void **state)
{
    char *big = text_of(3u << 20);
    spawn_job *job = a_job();
    int i;

    (void)state;
    assert_int_equal(spawn_job_pair(job, "env", "A", big), APR_SUCCESS);
    assert_int_equal(spawn_job_pair(job, "env", "B", big), APR_SUCCESS);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "env");
    job = a_job();
    for (i = 0; i < 9; i++)
        assert_int_equal(spawn_job_pair(job, "env", apr_itoa(pool, i), big),
                         APR_SUCCESS);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "the job has more than 20971520 bytes");
}

static void descriptors_are_looked_at(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    spawn_job *job;
    int i;

    (void)state;
    assert_true(fd >= 0);
    job = a_job();
    assert_int_equal(spawn_job_fd(job, 1, -1), APR_EINVAL);
    is_refused(job, SPAWN_FAIL_INVALID, "fds: 1: descriptor -1 is not open");
    job = a_job();
    assert_int_equal(spawn_job_fd(job, -1, fd), APR_EINVAL);
    is_refused(job, SPAWN_FAIL_INVALID, "-1 is not the number");
    job = a_job();
    assert_int_equal(spawn_job_fd(job, 1000000, fd), APR_SUCCESS);
    is_refused(job, SPAWN_FAIL_INVALID, "fds");
    job = a_job();
    for (i = 0; i < SPAWN_JOB_FDS_MAX; i++)
        assert_int_equal(spawn_job_fd(job, i, fd), APR_SUCCESS);
    assert_int_equal(spawn_job_fd(job, 5, fd), APR_SUCCESS); /* again */
    is_accepted(job);
    assert_int_equal(world_fds, SPAWN_JOB_FDS_MAX);
    assert_int_equal(spawn_job_fd(job, i, fd), APR_ENOSPC);
    is_refused(job, SPAWN_FAIL_TOO_BIG, "at most 19");
    (void)close(fd);
}

static void an_id_can_be_given(void **state)
{
    static const char id[] = "0190a5b4-4c6e-7cde-8f01-23456789ABCD";
    spawn_job *job = a_job(), *other = a_job();

    (void)state;
    assert_string_not_equal(spawn_job_id(job), spawn_job_id(other));
    assert_int_equal(spawn_job_option(job, "id", id), APR_SUCCESS);
    assert_string_equal(spawn_job_id(job),
                        "0190a5b4-4c6e-7cde-8f01-23456789abcd");
    is_accepted(job);
    assert_int_equal(spawn_job_option(other, "id", "1"), APR_EINVAL);
    is_refused(other, SPAWN_FAIL_INVALID, "id: '1'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(all_that_was_said_is_sent),
        WORLD_TEST(a_function_has_texts_as_arguments),
        WORLD_TEST(the_last_one_counts),
        WORLD_TEST(what_is_given_is_copied),
        WORLD_TEST(the_request_is_the_context),
        WORLD_TEST(what_a_client_chooses_is_bounded),
        WORLD_TEST(an_id_is_made_for_a_request_without_one),
        WORLD_TEST(a_request_without_anything_is_one),
        WORLD_TEST(the_first_fault_is_kept),
        WORLD_TEST(null_is_a_fault),
        WORLD_TEST(no_job_is_a_fault),
        WORLD_TEST(an_option_has_its_own_function),
        WORLD_TEST(too_much_is_refused),
        WORLD_TEST(too_much_together_is_refused),
        WORLD_TEST(descriptors_are_looked_at),
        WORLD_TEST(an_id_can_be_given),
    };

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
