/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow in the spawner: a broker that was taken over orders what it likes,
 * and starts nothing that httpd has not listed. The program plays httpd's
 * parent, which says the lists, and the broker, which forges orders.
 */
#include "t/unit/spawner_look.h"

static const char *list;     /* of queue images, words between blanks */
static const char *variable; /* SpawnEnv */

static void put_words(spawn_writer *w, uint16_t attr, const char *words)
{
    size_t mark = spawn_open_strv(w, attr);

    while (*words) {
        size_t length = strcspn(words, " ");

        spawn_add_text(w, mark, words, length);
        words += length + (words[length] == ' ');
    }
    spawn_close(w, mark);
}

static void put_rules(spawn_writer *w)
{
    size_t mark;

    mark = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);
    spawn_put_str(w, SPAWN_A_TEMPLATE, "report");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_EXEC);
    spawn_put_str(w, SPAWN_A_PERL, "/bin/true");
    put_words(w, SPAWN_A_INCLUDE, "/lib");
    put_words(w, SPAWN_A_PRELOAD, "My::Report");
    spawn_close(w, mark);
    if (variable) {
        mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);
        put_words(w, SPAWN_A_ENV, variable);
        spawn_close(w, mark);
    }
    if (!list)
        return;
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW);
    spawn_put_str(w, SPAWN_A_QUEUE, "images");
    put_words(w, SPAWN_A_ALLOW, list);
    spawn_close(w, mark);
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW);
    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_close(w, mark);
}

static int start(void **state)
{
    more_rules = put_rules;
    list = variable = NULL;
    return start_spawner(state);
}

static int stop(void **state)
{
    more_rules = NULL;
    return stop_all(state);
}

static void reach_ready_with(const char *words)
{
    list = words;
    reach_ready();
}

static const char *in_dir(const char *name)
{
    static char path[2][128];
    static unsigned next;
    char *to = path[next++ % 2];

    (void)snprintf(to, sizeof(path[0]), "%s/%s", dir, name);
    return to;
}

/* A script of the test, which tells what it is called. */
static const char *script(const char *name)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\necho $0 >> %s/said; exit 5\n", dir);
    (void)fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static spawn_id id;

/* An order, to which more can be put. queue NULL: it names none. */
static void begin_forged(spawn_writer *w, const char *queue, const char *words,
                         const char *env)
{
    new_id(&id);
    begin(w, SPAWN_M_LAUNCH);
    spawn_put_id(w, SPAWN_A_ID, &id);
    if (queue)
        spawn_put_str(w, SPAWN_A_QUEUE, queue);
    put_words(w, SPAWN_A_ARGV, words);
    put_words(w, SPAWN_A_ENV, env);
}

static void forge(const char *queue, const char *words, const char *env)
{
    spawn_writer w;

    begin_forged(&w, queue, words, env);
    send_on(link_fd, &w, NULL, 0);
}

static void runs(const char *queue, const char *words, int code)
{
    forge(queue, words, "A=1");
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, code);
    send_id(SPAWN_M_FORGET, &id);
}

static void is_refused(void)
{
    expect_failed(&id, SPAWN_STEP_ALLOW, EPERM);
    send_id(SPAWN_M_FORGET, &id);
}

static void refused(const char *queue, const char *words)
{
    forge(queue, words, "A=1");
    is_refused();
}

/* Awaited or not: by another way of telling. */
static void what_is_not_listed_never_runs(void **state)
{
    char program[64];

    (void)state;
    (void)snprintf(program, sizeof(program), "%s", script("evil"));
    reach_ready_with("/bin/true");
    for (start_is_awaited = false;; start_is_awaited = true) {
        runs("images", "/bin/true", 0);
        refused("images", "/bin/sh -c exit");
        refused("images", program);
        runs("default", "/bin/sh -c exit", 0);
        if (start_is_awaited)
            break;
    }
    assert_int_equal(access(in_dir("said"), F_OK), -1);
}

static void without_lists_all_runs(void **state)
{
    (void)state;
    reach_ready_with(NULL);
    runs("images", "/bin/sh -c exit", 0);
    runs(NULL, "/bin/sh -c exit", 0);
    runs("nowhere", "/bin/sh -c exit", 0);
}

/* Nor one that names none, since there it could be any. */
static void a_queue_that_httpd_has_not_is_none(void **state)
{
    (void)state;
    reach_ready_with("/bin/true");
    refused("nowhere", "/bin/true");
    refused(NULL, "/bin/true");
    runs("default", "/bin/true", 0);
}

static void links_are_followed(void **state)
{
    char words[256];

    (void)state;
    (void)snprintf(words, sizeof(words), "%s/tool %s/sub/*", dir, dir);
    assert_int_equal(mkdir(in_dir("sub"), 0755), 0);
    assert_int_equal(symlink("/bin/sh", in_dir("sub/sh")), 0);
    (void)script("real");
    assert_int_equal(symlink("real", in_dir("tool")), 0);
    assert_int_equal(symlink("tool", in_dir("way")), 0);
    reach_ready_with(words);
    /* by its own name, by that of the list, by another one */
    runs("images", in_dir("real"), 5);
    runs("images", in_dir("tool"), 5);
    runs("images", in_dir("way"), 5);
    /* a link that a pattern names leads elsewhere */
    refused("images", in_dir("sub/sh"));
    refused("images", "sh");
}

/* A script has its real name, under which it was looked at. */
static void a_script_runs_by_the_name_that_was_judged(void **state)
{
    char words[200], said[200] = "", real[128];
    FILE *f;

    (void)state;
    (void)snprintf(real, sizeof(real), "%s\n", script("script"));
    assert_int_equal(symlink("script", in_dir("link")), 0);
    (void)snprintf(words, sizeof(words), "%s", in_dir("script"));
    reach_ready_with(words);
    runs("images", in_dir("link"), 5);
    f = fopen(in_dir("said"), "r");
    assert_non_null(f);
    assert_non_null(fgets(said, sizeof(said), f));
    (void)fclose(f);
    assert_string_equal(said, real);
}

/* The descriptor that it is executed by is closed in it. */
static void a_program_has_no_descriptor_more(void **state)
{
    spawn_writer w;

    (void)state;
    reach_ready_with("/bin/ls /usr/bin/ls");
    begin_forged(&w, "images", "ls /proc/self/fd", "A=1");
    put_out(&w);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    send_id(SPAWN_M_FORGET, &id);
    /* three streams, and the directory that it reads */
    assert_string_equal(out_text(), "0\n1\n2\n3\n");
}

static void the_first_that_is_allowed_is_looked_up(void **state)
{
    (void)state;
    reach_ready_with("/bin/true /usr/bin/true");
    runs("images", "true", 0);
    refused("images", "sh -c exit");
    forge("images", "no-such-program-here", "A=1");
    expect_failed(&id, SPAWN_STEP_EXEC, ENOENT);
}

static void what_cannot_be_executed_is_told_as_ever(void **state)
{
    char words[200];
    FILE *f;

    (void)state;
    (void)snprintf(words, sizeof(words), "%s/*", dir);
    f = fopen(in_dir("plain"), "w");
    assert_non_null(f);
    (void)fclose(f);
    f = fopen(in_dir("crlf"), "w");
    assert_non_null(f);
    (void)fputs("#!/bin/sh\r\n", f);
    (void)fclose(f);
    assert_int_equal(chmod(in_dir("crlf"), 0755), 0);
    reach_ready_with(words);
    forge("images", in_dir("nowhere"), "A=1");
    expect_failed(&id, SPAWN_STEP_EXEC, ENOENT);
    forge("images", in_dir("plain"), "A=1");
    expect_failed(&id, SPAWN_STEP_EXEC, EACCES);
    forge("images", in_dir("crlf"), "A=1");
    expect_failed(&id, SPAWN_STEP_INTERPRETER, ENOENT);
}

/* One that does not fit beside an order is forked with all of it. */
static void a_long_list_is_a_list(void **state)
{
    static char words[9000];
    size_t n = 0;
    int i;

    (void)state;
    for (i = 0; i < 200; i++)
        n += (size_t)snprintf(words + n, sizeof(words) - n,
                              "/nowhere/program-of-number-%d ", i);
    (void)strcpy(words + n, "/bin/true");
    reach_ready_with(words);
    runs("images", "/bin/true", 0);
    refused("images", "/bin/sh -c exit");
}

static void a_variable_that_brings_code_is_httpds(void **state)
{
    (void)state;
    variable = "LD_LIBRARY_PATH=/opt/lib";
    reach_ready_with("/bin/true");
    forge("images", "/bin/true", "A=1 LD_PRELOAD=/tmp/evil.so");
    is_refused();
    forge("images", "/bin/true", "LD_LIBRARY_PATH=/tmp/evil");
    is_refused();
    forge("images", "/bin/true", "A=1 LD_LIBRARY_PATH=/opt/lib");
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    send_id(SPAWN_M_FORGET, &id);
    forge("default", "/bin/true", "LD_LIBRARY_PATH=/tmp/evil");
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
}

/* ---- functions and templates ---- */

static void a_function_that_is_not_listed_reaches_no_template(void **state)
{
    spawn_id none;
    spawn_writer w;
    int i;

    (void)state;
    reach_ready_with("My::App::*");
    new_id(&none);
    for (i = 0; i < 3; i++) {
        new_id(&id);
        begin(&w, SPAWN_M_LAUNCH);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        spawn_put_str(&w, SPAWN_A_QUEUE, "images");
        spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &none);
        spawn_put_str(&w, SPAWN_A_FUNCTION,
                      i == 0 ? "POSIX::_exit" : "My::App::build");
        if (i == 1)
            spawn_put_str(&w, SPAWN_A_LOAD, "Evil");
        put_words(&w, SPAWN_A_ENV, "LANG=C");
        send_on(link_fd, &w, NULL, 0);
        if (i < 2)
            is_refused();
        else /* it is allowed, and there is no such template */
            expect_failed(&id, SPAWN_STEP_TEMPLATE, ESRCH);
    }
}

#define RUN                                                                    \
    "use Apache2::Spawn::Template; Apache2::Spawn::Template::serve(@ARGV)"

/* The command line of the template, with one word changed; -1: none. */
static void order_template(int changed, const char *to, const char *env)
{
    static const char *const words[] = {
        "/bin/true", "-I/lib",   "-e",
        RUN,         "--",       "name=report",
        "memory=x",  "spares=1", "preload=My::Report",
        NULL};
    spawn_writer w;
    size_t mark;
    int i;

    new_id(&id);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    for (i = 0; words[i]; i++) {
        const char *word = i == changed ? to : words[i];

        if (word)
            spawn_add_text(&w, mark, word, strlen(word));
    }
    if (i == changed)
        spawn_add_text(&w, mark, to, strlen(to));
    spawn_close(&w, mark);
    put_words(&w, SPAWN_A_ENV, env);
    send_on(link_fd, &w, NULL, 0);
}

static void only_the_templates_of_httpd_are_started(void **state)
{
    spawn_writer w;
    int i;

    (void)state;
    reach_ready_with("/bin/true");
    order_template(-1, NULL, "LD_BIND_NOW=1");
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    send_id(SPAWN_M_FORGET, &id);
    for (i = 0; i < 9; i++) {
        order_template(i, "/bin/sh", "LD_BIND_NOW=1");
        is_refused();
        order_template(i, NULL, "LD_BIND_NOW=1");
        is_refused();
    }
    order_template(9, "require=/tmp/evil.pl", "LD_BIND_NOW=1");
    is_refused();
    order_template(-1, NULL, "PERL5OPT=-MEvil");
    is_refused();
    /* one of another name, and one that is no template but in name */
    begin_forged(&w, NULL, "/bin/true", "A=1");
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "nowhere");
    send_on(link_fd, &w, NULL, 0);
    is_refused();
    begin_forged(&w, "default", "/bin/true", "A=1");
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &id);
    send_on(link_fd, &w, NULL, 0);
    is_refused();
}

/* ---- lists that change ---- */

static void the_last_configuration_counts(void **state)
{
    (void)state;
    reach_ready_with("/bin/true");
    refused("images", "/bin/sh -c exit");
    list = "/bin/sh";
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    runs("images", "/bin/sh -c exit", 0);
    refused("images", "/bin/true");
    list = NULL;
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    runs("images", "/bin/true", 0);
}

/* A job of a template that is not there: an order that is let through fails at
 * that. */
static void order_from_template(const char *function, bool worker,
                                const char *env)
{
    spawn_id none;
    spawn_writer w;

    new_id(&none);
    new_id(&id);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_QUEUE, "images");
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &none);
    if (worker)
        spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    if (function)
        spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    put_words(&w, SPAWN_A_ENV, env ? env : "LANG=C");
    send_on(link_fd, &w, NULL, 0);
}

static void is_let_through(void)
{
    expect_failed(&id, SPAWN_STEP_TEMPLATE, ESRCH);
    send_id(SPAWN_M_FORGET, &id);
}

/* It would take any call of the broker. */
static void a_queue_without_workers_has_none(void **state)
{
    (void)state;
    reach_ready_with("My::App::*");
    order_from_template("My::App::f", false, NULL);
    is_let_through();
    order_from_template(NULL, true, NULL);
    is_refused();
    order_from_template(NULL, false, NULL);
    is_refused();
}

/* Perl knows more names of a function than one. */
static void a_function_has_one_name(void **state)
{
    (void)state;
    reach_ready_with("* !My::App::*");
    order_from_template("My::App'admin", false, NULL);
    is_refused();
    order_from_template("::My::App::admin", false, NULL);
    is_refused();
    order_from_template("My::Other::f", false, NULL);
    is_let_through();
    order_from_template("My::Other::f", false, "LD_PRELOAD=/tmp/evil.so");
    is_refused();
}

static void variables_that_run_code_are_refused(void **state)
{
    static const char *const env[] = {"HOME=/tmp/evil",
                                      "PERL_USE_UNSAFE_INC=1",
                                      "OPENSSL_CONF=/tmp/evil",
                                      "NODE_PATH=/tmp",
                                      "JDK_JAVA_OPTIONS=-x",
                                      "_JAVA_OPTIONS=-x",
                                      "PHPRC=/tmp",
                                      "LUA_INIT=x",
                                      "GIT_SSH_COMMAND=x",
                                      "PYTHONSTARTUP=/tmp",
                                      "RUBYOPT=-r/tmp/evil"};
    size_t i;

    (void)state;
    reach_ready_with("/bin/true");
    for (i = 0; i < sizeof(env) / sizeof(env[0]); i++) {
        forge("images", "/bin/true", env[i]);
        is_refused();
    }
    forge("images", "/bin/true", "HOMER=/tmp");
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(what_is_not_listed_never_runs),
        T(without_lists_all_runs),
        T(a_queue_without_workers_has_none),
        T(a_function_has_one_name),
        T(variables_that_run_code_are_refused),
        T(a_queue_that_httpd_has_not_is_none),
        T(links_are_followed),
        T(a_script_runs_by_the_name_that_was_judged),
        T(a_program_has_no_descriptor_more),
        T(the_first_that_is_allowed_is_looked_up),
        T(what_cannot_be_executed_is_told_as_ever),
        T(a_long_list_is_a_list),
        T(a_variable_that_brings_code_is_httpds),
        T(a_function_that_is_not_listed_reaches_no_template),
        T(only_the_templates_of_httpd_are_started),
        T(the_last_configuration_counts),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_allow", tests, NULL, NULL);
}
