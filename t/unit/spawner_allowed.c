/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow in the spawner, without its process: which orders the lists of a
 * configuration let pass, by the variables, the template and the workers that
 * the configuration has; and what is told of the others.
 */
#include "t/unit/spawner_part.h"

#include "common/spawn_field.h"
#include "common/spawn_template.h"
#include "spawner/allowed.c"

/* ---- configurations ---- */

static spawn_writer c;

static void begin_config(void)
{
    spawn_writer_free(&c);
    begin(&c, SPAWN_M_CONFIGURE);
}

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

static void add_list(const char *queue, const char *list)
{
    size_t mark = spawn_open_nest(&c, SPAWN_A_QUEUE_ALLOW);

    spawn_put_str(&c, SPAWN_A_QUEUE, queue);
    if (list)
        put_words(&c, SPAWN_A_ALLOW, list);
    spawn_close(&c, mark);
}

static void add_variables(const char *variables)
{
    size_t mark = spawn_open_nest(&c, SPAWN_A_QUEUE_DEFAULTS);

    if (variables)
        put_words(&c, SPAWN_A_ENV, variables);
    spawn_close(&c, mark);
}

static void add_account(uint64_t uid, const char *home)
{
    size_t mark = spawn_open_nest(&c, SPAWN_A_ACCOUNT);

    spawn_put_u64(&c, SPAWN_A_UID, uid);
    spawn_put_u64(&c, SPAWN_A_GID, uid);
    if (home)
        spawn_put_str(&c, SPAWN_A_JOB_HOME, home);
    spawn_close(&c, mark);
}

static void add_queue(const char *queue, uint64_t workers)
{
    size_t mark = spawn_open_nest(&c, SPAWN_A_QUEUE_RULES);

    spawn_put_str(&c, SPAWN_A_QUEUE, queue);
    spawn_put_u64(&c, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&c, SPAWN_A_MAX_QUEUED, 10);
    if (workers)
        spawn_put_u64(&c, SPAWN_A_WORKERS_MAX, workers);
    spawn_close(&c, mark);
}

static const char *include = "", *preload = ""; /* of the next template */

static void add_template(const char *name, const char *perl)
{
    size_t mark = spawn_open_nest(&c, SPAWN_A_TEMPLATE_RULES);

    spawn_put_str(&c, SPAWN_A_TEMPLATE, name);
    spawn_put_u64(&c, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_EXEC);
    spawn_put_str(&c, SPAWN_A_PERL, perl);
    if (*include)
        put_words(&c, SPAWN_A_INCLUDE, include);
    if (*preload)
        put_words(&c, SPAWN_A_PRELOAD, preload);
    spawn_close(&c, mark);
}

static void use_config(void)
{
    assert_int_equal(spawn_writer_finish(&c, 0), 0);
    spawner.config = c.data + SPAWN_WIRE_HEADER;
    spawner.config_length = c.length - SPAWN_WIRE_HEADER;
    allowed_configured();
}

/* ---- orders ---- */

static spawn_writer o;
static spawn_message m;
static const spawn_id id = {{9}};

static void begin_order(const char *queue, const char *variables)
{
    spawn_writer_free(&o);
    begin(&o, SPAWN_M_LAUNCH);
    spawn_put_id(&o, SPAWN_A_ID, &id);
    put_words(&o, SPAWN_A_ENV, variables);
    if (queue)
        spawn_put_str(&o, SPAWN_A_QUEUE, queue);
}

static const spawn_message *order(void)
{
    assert_int_equal(spawn_writer_finish(&o, 0), 0);
    assert_int_equal(spawn_message_parse(o.data, o.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 0, &m,
                                         NULL),
                     0);
    return &m;
}

static const spawn_message *program(const char *queue, const char *variables)
{
    begin_order(queue, variables);
    put_words(&o, SPAWN_A_ARGV, "/bin/x");
    return order();
}

static void add_word(size_t mark, const char *before, const char *text)
{
    char word[128];

    (void)snprintf(word, sizeof(word), "%s%s", before, text);
    spawn_add_text(&o, mark, word, strlen(word));
}

static void add_words(size_t mark, const char *before, const char *words)
{
    while (*words) {
        char one[64];
        size_t length = strcspn(words, " ");

        (void)snprintf(one, sizeof(one), "%.*s", (int)length, words);
        add_word(mark, before, one);
        words += length + (words[length] == ' ');
    }
}

static const char *variables; /* of the next one */
static bool is_from_another;  /* it is to be forked from a template */

/* With what is said in include and preload, and one word more. */
static const spawn_message *template_and(const char *name, const char *perl,
                                         const char *more)
{
    size_t mark;

    begin_order(NULL, variables);
    mark = spawn_open_strv(&o, SPAWN_A_ARGV);
    add_word(mark, perl, "");
    add_words(mark, "-I", include);
    add_word(mark, "-e", "");
    add_word(mark, SPAWN_TEMPLATE_RUN, "");
    add_word(mark, "--", "");
    add_word(mark, "name=", name);
    add_word(mark, "memory=", "plain");
    add_word(mark, "spares=", "1");
    add_words(mark, "preload=", preload);
    if (*more)
        add_word(mark, more, "");
    spawn_close(&o, mark);
    spawn_put_u64(&o, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&o, SPAWN_A_TEMPLATE, name);
    if (is_from_another)
        spawn_put_id(&o, SPAWN_A_TEMPLATE_ID, &id);
    return order();
}

static const spawn_message *template(const char *name, const char *perl)
{
    return template_and(name, perl, "");
}

static const spawn_message *worker(const char *queue)
{
    begin_order(queue, "");
    spawn_put_id(&o, SPAWN_A_TEMPLATE_ID, &id);
    spawn_put_u64(&o, SPAWN_A_IS_WORKER, 1);
    return order();
}

static void passes(const spawn_message *given)
{
    assert_true(allowed_order(&id, given));
    expect_no_line();
}

static void is_refused(const spawn_message *given)
{
    assert_false(allowed_order(&id, given));
}

static int start(void **state)
{
    (void)state;
    no_state();
    read_log();
    begin_config();
    include = preload = variables = "";
    is_from_another = false;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    spawn_writer_free(&c);
    spawn_writer_free(&o);
    return 0;
}

/* ---- tests ---- */

static void without_a_list_all_pass(void **state)
{
    (void)state;
    add_queue("images", 0);
    use_config();
    passes(program("images", "LD_PRELOAD=/x"));
    passes(program("unknown", ""));
    passes(template("none", "/x"));
    assert_null(allowed_list(program("images", "")));
}

static void a_queue_has_its_own_list(void **state)
{
    const spawn_attr *list;

    (void)state;
    add_list("default", NULL);
    add_list("images", "/bin/x");
    use_config();
    passes(program("default", "LD_PRELOAD=/x"));
    passes(program("images", "A=b"));
    is_refused(program("unknown", ""));
    is_refused(program(NULL, ""));
    assert_null(allowed_list(program("default", "")));
    assert_null(allowed_list(program("unknown", "")));
    assert_null(allowed_list(template("images", "/x")));
    list = allowed_list(program("images", ""));
    assert_non_null(list);
    assert_string_equal(spawn_strv_next(list, NULL), "/bin/x");
}

static void what_is_refused_is_told(void **state)
{
    char line[256], text[SPAWN_ID_TEXT];

    (void)state;
    add_list("images", "/bin/x");
    use_config();
    is_refused(program("unknown", ""));
    (void)snprintf(line, sizeof(line),
                   "MS0365: the broker's order for job %s is refused: queue "
                   "'unknown' does not allow it (SpawnAllow), or is not "
                   "configured",
                   spawn_id_format(&id, text));
    expect_logged(line);
    is_refused(template("report", "/x"));
    (void)snprintf(line, sizeof(line),
                   "the broker's order for template %s is refused: template "
                   "'report' does not allow it",
                   text);
    expect_logged(line);
}

static void the_next_configuration_may_have_none(void **state)
{
    (void)state;
    add_list("images", "/bin/x");
    use_config();
    is_refused(program("unknown", ""));
    (void)log_says("MS0365"); /* there may be enough of them */
    begin_config();
    add_queue("images", 0);
    use_config();
    passes(program("unknown", ""));
    assert_null(allowed_list(program("images", "")));
}

/* The configuration's own, and whole ones only. */
static void variables_of_power_are_those_of_the_configuration(void **state)
{
    (void)state;
    add_list("images", "/bin/x");
    add_variables(NULL);
    add_variables("LD_A=1 LD_B=2");
    add_variables("LD_C=3");
    use_config();
    passes(program("images", "A=b LD_A=1 LD_B=2 LD_C=3"));
    is_refused(program("images", "LD_A=1 LD_B=1 LD_C=3"));
    is_refused(program("images", "LD_A=1 LD_B=2 LD_C=3 LD_D=4"));
    is_refused(program("images", "LD_D=4 LD_A=1"));
    is_refused(program("images", "LD_A=11"));
    is_refused(program("images", "LD_A="));
}

/* The broker sets it. */
static void home_is_that_of_an_account_of_jobs(void **state)
{
    (void)state;
    add_list("images", "/bin/x");
    add_account(61001, NULL);
    add_account(61002, "/home/media");
    spawn_put_str(&c, SPAWN_A_JOB_HOME, "/var/www");
    add_account(61003, "/home/reports");
    use_config();
    passes(program("images", "HOME=/var/www"));
    passes(program("images", "HOME=/home/media"));
    passes(program("images", "HOME=/home/reports"));
    is_refused(program("images", "HOME=/home/medi"));
    is_refused(program("images", "HOME=/home/mediaa"));
    is_refused(program("images", "HOME=home/media"));
    is_refused(program("images", "HOME="));
    is_refused(program("images", "HOME=/tmp"));
    is_refused(program("images", "LD_A=/var/www"));
    is_refused(program("images", "PERL=/home/media"));
}

/* Half an account gives no home, nor does another setting. */
static void home_is_of_nothing_else(void **state)
{
    size_t mark;

    (void)state;
    add_list("images", "/bin/x");
    mark = spawn_open_nest(&c, SPAWN_A_ACCOUNT); /* without its gid */
    spawn_put_u64(&c, SPAWN_A_UID, 61001);
    spawn_put_str(&c, SPAWN_A_JOB_HOME, "/home/half");
    spawn_close(&c, mark);
    spawn_put_str(&c, SPAWN_A_SOCKET_PATH, "/home/socket");
    use_config();
    is_refused(program("images", "HOME=/home/half"));
    is_refused(program("images", "HOME=/home/socket"));
}

static void a_template_has_the_command_line_of_its_rules(void **state)
{
    (void)state;
    add_list("images", "/bin/x");
    add_template("app", "/usr/bin/perl");
    add_template("report", "/opt/perl");
    use_config();
    passes(template("app", "/usr/bin/perl"));
    passes(template("report", "/opt/perl"));
    is_refused(template("app", "/opt/perl"));
    is_refused(template("report", "/usr/bin/perl"));
    is_refused(template("other", "/opt/perl"));
    is_refused(template_and("app", "/usr/bin/perl", "preload=My::App"));
    is_refused(template_and("app", "/usr/bin/perl", "x"));
    (void)log_says("MS0365"); /* there may be enough of them */
    variables = "A=b";
    passes(template("app", "/usr/bin/perl"));
    variables = "LD_PRELOAD=/x";
    is_refused(template("app", "/usr/bin/perl"));
    variables = "";
    is_from_another = true;
    is_refused(template("app", "/usr/bin/perl"));
}

static void say_modules(const char *includes, const char *preloads)
{
    include = includes;
    preload = preloads;
}

static void a_template_loads_what_its_rules_say(void **state)
{
    (void)state;
    add_list("images", "/bin/x");
    say_modules("/a /b /c", "A B");
    add_template("app", "perl");
    use_config();
    passes(template("app", "perl"));
    is_refused(template_and("app", "perl", "preload=C"));
    say_modules("/a /b /d", "A B");
    is_refused(template("app", "perl"));
    say_modules("/a /c /b", "A B");
    is_refused(template("app", "perl"));
    say_modules("/a /b", "A B");
    is_refused(template("app", "perl"));
    say_modules("/a /b /c /d", "A B");
    is_refused(template("app", "perl"));
    say_modules("/a /b /c", "A C");
    is_refused(template("app", "perl"));
    say_modules("/a /b /c", "A");
    is_refused(template("app", "perl"));
    say_modules("", "");
    is_refused(template("app", "perl"));
}

/* One takes any call of the broker. */
static void workers_are_of_queues_that_have_some(void **state)
{
    (void)state;
    add_list("images", "My::f");
    add_list("reports", "My::f");
    add_list("media", "My::f");
    add_queue("images", 0);
    add_queue("reports", 1);
    use_config();
    passes(worker("reports"));
    is_refused(worker("images"));
    is_refused(worker("media")); /* of which no rules are said */
    is_refused(worker("none"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_a_list_all_pass),
        T(a_queue_has_its_own_list),
        T(what_is_refused_is_told),
        T(the_next_configuration_may_have_none),
        T(variables_of_power_are_those_of_the_configuration),
        T(home_is_that_of_an_account_of_jobs),
        T(home_is_of_nothing_else),
        T(a_template_has_the_command_line_of_its_rules),
        T(a_template_loads_what_its_rules_say),
        T(workers_are_of_queues_that_have_some),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_allowed", tests, NULL, NULL);
}
