/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow's patterns: what they match (but for "**", the same as the C
 * library's fnmatch), what a list says of a name, and of a file by where it
 * lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_allow.h"
#include "common/spawn_field.h"

/* ---- patterns ---- */

static void matches(const char *pattern, const char *name)
{
    if (!spawn_allow_matches(pattern, name))
        fail_msg("'%s' does not match '%s'", pattern, name);
}

static void matches_not(const char *pattern, const char *name)
{
    if (spawn_allow_matches(pattern, name))
        fail_msg("'%s' matches '%s'", pattern, name);
}

static void a_star_ends_at_a_slash(void **state)
{
    (void)state;
    matches("/usr/bin/convert", "/usr/bin/convert");
    matches_not("/usr/bin/convert", "/usr/bin/converts");
    matches_not("/usr/bin/converts", "/usr/bin/convert");
    matches("/opt/app/*", "/opt/app/x");
    matches("/opt/app/*", "/opt/app/.x");
    matches_not("/opt/app/*", "/opt/app/sub/x");
    matches_not("/opt/app/*", "/opt/app");
    matches("/opt/*/bin/*.sh", "/opt/a/bin/x.sh");
    matches_not("/opt/*/bin/*.sh", "/opt/a/b/bin/x.sh");
    matches_not("/opt/?/x", "/opt///x");
    matches_not("/opt[/]x", "/opt/x");
    matches_not("/opt[!a]x", "/opt/x");
}

static void two_stars_do_not(void **state)
{
    (void)state;
    matches("/opt/**", "/opt/a/b/c");
    matches("/**", "/x");
    matches("/opt/**/x", "/opt/a/b/x");
    matches("/opt/**/b*/x", "/opt/a/c/bcd/x");
    matches_not("/opt/**/b*/x", "/opt/a/c/bcd/e/x");
    matches_not("/opt/**/y", "/opt/a/b/x");
    matches("/opt/***x", "/opt/a/x");
    matches_not("/opt/**", "/opt");
}

static void names_of_functions_have_no_slash(void **state)
{
    (void)state;
    matches("My::App::*", "My::App::build");
    matches("My::App::*", "My::App::Sub::build");
    matches_not("My::App::*", "My::Application::build");
    matches("*::handler", "My::handler");
    matches("*", "My::App::build");
}

/* Of a name and a pattern by chance. */
static const char *by_chance(char *room, const char *signs, size_t most)
{
    size_t length = (size_t)random() % most, i;

    for (i = 0; i < length; i++)
        room[i] = signs[(size_t)random() % strlen(signs)];
    room[length] = '\0';
    return room;
}

/* Releases of the C library differ in a set that has a '/' or no end; and two
 * stars are one to it. */
static void the_rest_is_fnmatch(void **state)
{
    char pattern[16], name[16];
    int i, both = 0;

    (void)state;
    srandom(7);
    for (i = 0; i < 300000; i++) {
        bool wanted;

        (void)by_chance(pattern, "ab/*?\\", 10);
        (void)by_chance(name, "aab/", 10);
        if (i % 3 == 0) /* with a set */
            (void)strcat(pattern, i % 2 ? "[!b]" : "[ab]");
        if (strstr(pattern, "**") || strstr(pattern, "\\\0[")
            || (pattern[0] && pattern[strlen(pattern) - 1] == '\\'))
            continue;
        wanted = fnmatch(pattern, name, FNM_PATHNAME) == 0;
        if (spawn_allow_matches(pattern, name) != wanted)
            fail_msg("'%s' and '%s': %d is wanted", pattern, name, wanted);
        both += wanted;
    }
    assert_true(both > 100);
}

static void sets_are_sets(void **state)
{
    (void)state;
    matches("/x[a-c]", "/xb");
    matches_not("/x[a-c]", "/xd");
    matches("/x[!a-c]", "/xd");
    matches("/x[^a-c]", "/xd");
    matches("/x[]]", "/x]");
    matches("/x[a-]", "/x-");
    matches("/x[\\]]", "/x]");
    matches("/x[\\a-\\c]y", "/xby");
    matches_not("/x[a", "/xa");
    matches("/x\\*", "/x*");
    matches_not("/x\\*", "/xy");
}

static void what_is_no_pattern_is_told(void **state)
{
    static const char *const good[] = {
        "/usr/bin/x", "!/usr/bin/x", "/opt/[ab]*", "My::App::*", "!My::App::f",
        "*",          "!*",          "*::f",       "/a b",       "/\\[",
        "/**",        "My::[a-f]*",  "/x[]]",      "/x[a][b]"};
    static const char *const bad[] = {"",      "!",      "convert",   "./x",
                                      "bin/x", "/x[a",   "/x\\",      "My::a b",
                                      "My",    "!!/x",   "My-App::f", "My::[a",
                                      "/[!]",  "/[a][b", "/[]"};
    char longest[SPAWN_ALLOW_PATTERN_MAX + 2];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (spawn_allow_bad_pattern(good[i]))
            fail_msg("%s: %s", good[i], spawn_allow_bad_pattern(good[i]));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!spawn_allow_bad_pattern(bad[i]))
            fail_msg("'%s' is a pattern", bad[i]);
    }
    memset(longest, '/', sizeof(longest));
    longest[SPAWN_ALLOW_PATTERN_MAX] = '\0';
    assert_null(spawn_allow_bad_pattern(longest));
    longest[SPAWN_ALLOW_PATTERN_MAX] = '/';
    longest[SPAWN_ALLOW_PATTERN_MAX + 1] = '\0';
    assert_non_null(spawn_allow_bad_pattern(longest));
}

/* ---- lists ---- */

static spawn_writer w;
static spawn_attr list;

/* Words between blanks. */
static void have(const char *words)
{
    spawn_reader reader;
    size_t mark;

    spawn_writer_free(&w);
    spawn_writer_init(&w, 65536);
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    mark = spawn_open_strv(&w, SPAWN_A_ALLOW);
    while (*words) {
        size_t length = strcspn(words, " ");

        spawn_add_text(&w, mark, words, length);
        words += length + (words[length] == ' ');
    }
    spawn_close(&w, mark);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    spawn_reader_init(&reader, w.data + SPAWN_WIRE_HEADER,
                      w.length - SPAWN_WIRE_HEADER);
    assert_int_equal(spawn_reader_next(&reader, &list), 1);
}

static void judged(const char *name, spawn_allow wanted, const char *rule)
{
    const char *its = "not set";

    assert_int_equal(spawn_allow_judge(&list, name, &its), wanted);
    if (rule)
        assert_string_equal(its, rule);
    else
        assert_null(its);
    assert_int_equal(spawn_allow_judge(&list, name, NULL), wanted);
}

static void an_empty_list_allows_all(void **state)
{
    const spawn_attr none = {0};

    (void)state;
    have("");
    judged("/bin/sh", SPAWN_ALLOW_YES, NULL);
    judged("My::f", SPAWN_ALLOW_YES, NULL);
    assert_int_equal(spawn_allow_judge(&none, "/x", NULL), SPAWN_ALLOW_YES);
    assert_int_equal(spawn_allow_judge(NULL, "/x", NULL), SPAWN_ALLOW_YES);
    assert_int_equal(spawn_allow_judge_function(&none, "My::f", "Any", NULL),
                     SPAWN_ALLOW_YES);
    assert_int_equal(spawn_allow_judge_file(&none, "/x", true, NULL),
                     SPAWN_ALLOW_YES);
}

static void what_is_named_excludes_all_else(void **state)
{
    (void)state;
    have("/usr/bin/convert");
    judged("/usr/bin/convert", SPAWN_ALLOW_YES, NULL);
    judged("/bin/sh", SPAWN_ALLOW_NOT_LISTED, NULL);
    judged("My::f", SPAWN_ALLOW_NOT_LISTED, NULL);
    have("My::*");
    judged("/bin/sh", SPAWN_ALLOW_NOT_LISTED, NULL);
    judged("My::f", SPAWN_ALLOW_YES, NULL);
    have("*"); /* of functions */
    judged("/bin", SPAWN_ALLOW_NOT_LISTED, NULL);
}

static void an_exclusion_counts_wherever_it_stands(void **state)
{
    (void)state;
    have("!/opt/admin /opt/*");
    judged("/opt/admin", SPAWN_ALLOW_EXCLUDED, "!/opt/admin");
    judged("/opt/user", SPAWN_ALLOW_YES, NULL);
    have("/opt/* !/opt/admin");
    judged("/opt/admin", SPAWN_ALLOW_EXCLUDED, "!/opt/admin");
    judged("/bin/sh", SPAWN_ALLOW_NOT_LISTED, NULL);
    have("!My::Secret::* !/opt/**");
    judged("/bin/sh", SPAWN_ALLOW_YES, NULL);
    judged("/opt/a", SPAWN_ALLOW_EXCLUDED, "!/opt/**");
    judged("My::f", SPAWN_ALLOW_YES, NULL);
    judged("My::Secret::f", SPAWN_ALLOW_EXCLUDED, "!My::Secret::*");
    have("!*");
    judged("/bin", SPAWN_ALLOW_YES, NULL);
}

static void it_is_known_when_no_program_runs(void **state)
{
    const spawn_attr none = {0};

    (void)state;
    assert_false(spawn_allow_no_program(&none));
    have("");
    assert_false(spawn_allow_no_program(&list));
    have("My::*");
    assert_true(spawn_allow_no_program(&list));
    have("My::* /bin/true");
    assert_false(spawn_allow_no_program(&list));
    have("/bin/true");
    assert_false(spawn_allow_no_program(&list));
    have("!My::* !/bin/true");
    assert_false(spawn_allow_no_program(&list));
    have("!/** !*");
    assert_true(spawn_allow_no_program(&list));
}

static void function_judged(const char *function, const char *load,
                            spawn_allow wanted)
{
    assert_int_equal(spawn_allow_judge_function(&list, function, load, NULL),
                     wanted);
}

/* The longest module that is looked for in a list. */
static void a_long_module_is_not_listed(void **state)
{
    char load[700], own[700];

    (void)state;
    memset(load, 'a', sizeof(load));
    load[517] = '\0';
    have("*");
    function_judged("My::f", load, SPAWN_ALLOW_YES);
    load[517] = 'a';
    load[518] = '\0';
    function_judged("My::f", load, SPAWN_ALLOW_NOT_LISTED);
    have("");
    function_judged("My::f", load, SPAWN_ALLOW_YES);
    memcpy(load + 518, "::f", 4); /* its own function's needs no look */
    have("*");
    memcpy(own, load, 518);
    own[518] = '\0';
    function_judged(load, own, SPAWN_ALLOW_YES);
}

static void only_one_program_is_a_path(void **state)
{
    (void)state;
    assert_true(spawn_allow_is_path("/bin/x"));
    assert_true(spawn_allow_is_path("!/bin/x]"));
    assert_false(spawn_allow_is_path("/bin/*"));
    assert_false(spawn_allow_is_path("/bin/x?"));
    assert_false(spawn_allow_is_path("!/bin/[x]"));
    assert_false(spawn_allow_is_path("/bin/\\x"));
    assert_false(spawn_allow_is_path("My::f"));
    assert_false(spawn_allow_is_path("!My::f"));
}

static void another_name_of_a_function_is_that_function(void **state)
{
    (void)state;
    have("!My::Secret::*");
    function_judged("main::My::Secret::f", NULL, SPAWN_ALLOW_EXCLUDED);
    function_judged("main::main::My::Secret::f", NULL, SPAWN_ALLOW_EXCLUDED);
    have("main::f");
    function_judged("main::f", NULL, SPAWN_ALLOW_YES);
    function_judged("main::main::f", NULL, SPAWN_ALLOW_YES);
}

static void a_module_is_loaded_that_may_be_called(void **state)
{
    char longest[600];

    (void)state;
    have("My::App::build");
    function_judged("My::App::build", NULL, SPAWN_ALLOW_YES);
    function_judged("My::App::build", "My::App", SPAWN_ALLOW_YES);
    function_judged("My::App::build", "My", SPAWN_ALLOW_NOT_LISTED);
    function_judged("My::App::build", "My::Ap", SPAWN_ALLOW_NOT_LISTED);
    function_judged("My::App::build", "Evil", SPAWN_ALLOW_NOT_LISTED);
    have("My::::build"); /* of the module My:: */
    function_judged("My::::build", "My", SPAWN_ALLOW_NOT_LISTED);
    have("My::App::* !My::App::Admin::*");
    function_judged("My::App::build", "My::App::Util", SPAWN_ALLOW_YES);
    function_judged("My::App::build", "My::App", SPAWN_ALLOW_YES);
    function_judged("My::App::build", "My::App::Admin", SPAWN_ALLOW_EXCLUDED);
    function_judged("My::App::build", "main::My::App::Admin",
                    SPAWN_ALLOW_EXCLUDED);
    function_judged("My::App::build", "Evil", SPAWN_ALLOW_NOT_LISTED);
    memset(longest, 'a', sizeof(longest));
    longest[512] = '\0';
    function_judged("My::App::build", longest, SPAWN_ALLOW_NOT_LISTED);
    have("*");
    function_judged("My::App::build", longest, SPAWN_ALLOW_YES);
    longest[512] = 'a';
    longest[599] = '\0';
    function_judged("My::App::build", longest, SPAWN_ALLOW_NOT_LISTED);
}

static void variables_that_bring_code_are_known(void **state)
{
    (void)state;
    assert_true(spawn_allow_is_power("LD_PRELOAD=/tmp/x.so"));
    assert_true(spawn_allow_is_power("PERL5OPT=-MEvil"));
    assert_true(spawn_allow_is_power("PATH=/tmp:/usr/bin"));
    assert_true(spawn_allow_is_power("ENV=/tmp/x"));
    assert_false(spawn_allow_is_power("PATH=" SPAWN_DEFAULT_PATH));
    assert_false(spawn_allow_is_power("LD_BIND_NOW=1"));
    assert_false(spawn_allow_is_power("LD_PRELOAD")); /* taken away */
    assert_false(spawn_allow_is_power("ENVIRONMENT=test"));
    assert_false(spawn_allow_is_power("PATHS=/x"));
    assert_true(spawn_allow_is_power("HOME=/x"));
    assert_true(spawn_allow_is_power("PERL_USE_UNSAFE_INC=1"));
    assert_false(spawn_allow_is_power("HOMER=/x"));
    assert_false(spawn_allow_is_power("X=LD_PRELOAD=/x"));
}

/* ---- files ---- */

static char dir[4096];

static const char *in_dir(const char *name)
{
    static char path[4][5000];
    static unsigned next;
    char *to = path[next++ % 4];

    (void)snprintf(to, sizeof(path[0]), "%s/%s", dir, name);
    return to;
}

static void make(const char *name)
{
    FILE *f = fopen(in_dir(name), "w");

    assert_non_null(f);
    (void)fclose(f);
}

static int make_dir(void **state)
{
    char made[] = "/tmp/spawn-allow-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, dir));
    make("real");
    make("other");
    assert_int_equal(symlink("real", in_dir("link")), 0);
    assert_int_equal(symlink("link", in_dir("second")), 0);
    assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
    return 0;
}

static int remove_dir(void **state)
{
    char command[5000];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
    return system(command);
}

static void a_file_is_where_its_links_lead(void **state)
{
    char path[4096];
    int fd;

    (void)state;
    fd = spawn_allow_open(in_dir("second"), true, path, sizeof(path));
    assert_true(fd >= 0);
    assert_string_equal(path, in_dir("real"));
    assert_int_equal(write(fd, "x", 1), -1); /* it is open as a path */
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
    assert_int_equal(
        spawn_allow_open(in_dir("dangling"), true, path, sizeof(path)),
        -ENOENT);
    assert_int_equal(spawn_allow_open(in_dir("real"), true, path, 8),
                     -ENAMETOOLONG);
}

/* Its descriptor's number has more digits than one. */
static void so_many_files_may_be_open(void **state)
{
    int held[120], fd;
    char path[4096];
    unsigned i;

    (void)state;
    for (i = 0; i < 120; i++)
        held[i] = dup(0);
    fd = spawn_allow_open(in_dir("real"), true, path, sizeof(path));
    for (i = 0; i < 120; i++)
        (void)close(held[i]);
    assert_true(fd > 100);
    assert_string_equal(path, in_dir("real"));
    (void)close(fd);
}

static int without_its_name(void)
{
    unsigned before = open_count();
    char path[4096];

    deny(SYS_readlinkat, EACCES);
    IS(spawn_allow_open("/", true, path, sizeof(path)) == -EACCES);
    IS(open_count() == before);
    return 0;
}

static void a_file_that_has_no_name_is_not_left_open(void **state)
{
    unsigned before = open_count();
    char path[8];

    (void)state;
    assert_int_equal(spawn_allow_open(in_dir("real"), true, path, sizeof(path)),
                     -ENAMETOOLONG);
    assert_int_equal(open_count(), before);
    HOLDS_IN_A_CHILD(without_its_name);
}

/* A kernel before 5.12 cannot; a newer one may be unable just now. */
static void it_is_told_without_waiting_or_not_at_all(void **state)
{
    char path[4096];
    int fd = -EAGAIN, i;

    (void)state;
    for (i = 0; fd == -EAGAIN && i < 100; i++) {
        fd = spawn_allow_open(in_dir("real"), true, path, sizeof(path));
        (void)close(fd);
        fd = spawn_allow_open(in_dir("real"), false, path, sizeof(path));
    }
    LEAVE_OUT_IF(fd == -ENOSYS || fd == -EINVAL,
                 "this kernel cannot look without waiting");
    assert_true(fd >= 0);
    assert_string_equal(path, in_dir("real"));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
}

static spawn_allow file_judged(const char *name, const char **rule)
{
    return spawn_allow_judge_file(&list, in_dir(name), true, rule);
}

static void a_path_of_the_list_may_be_a_link(void **state)
{
    const char *rule = "not set";
    unsigned before = open_count();

    (void)state;
    have(in_dir("second"));
    assert_int_equal(file_judged("real", &rule), SPAWN_ALLOW_YES);
    assert_null(rule);
    assert_int_equal(file_judged("other", &rule), SPAWN_ALLOW_NOT_LISTED);
    have(in_dir("dangling"));
    assert_int_equal(file_judged("real", &rule), SPAWN_ALLOW_NOT_LISTED);
    have(in_dir("*"));
    assert_int_equal(file_judged("real", &rule), SPAWN_ALLOW_YES);
    have("/nowhere/*"); /* a pattern is of real paths */
    assert_int_equal(file_judged("real", &rule), SPAWN_ALLOW_NOT_LISTED);
    assert_int_equal(open_count(), before);
}

static void so_may_be_that_of_an_exclusion(void **state)
{
    char words[9000];
    const char *rule = NULL;

    (void)state;
    (void)snprintf(words, sizeof(words), "%s !%s", in_dir("*"), in_dir("link"));
    have(words);
    assert_int_equal(file_judged("real", &rule), SPAWN_ALLOW_EXCLUDED);
    assert_string_equal(rule, strchr(words, '!'));
    assert_int_equal(spawn_allow_judge_file(&list, in_dir("real"), true, NULL),
                     SPAWN_ALLOW_EXCLUDED);
    assert_int_equal(file_judged("other", &rule), SPAWN_ALLOW_YES);
}

/* A caller that may not wait lets a file pass that it would have to wait for.
 */
static void what_cannot_be_told_at_once_is_left_to_others(void **state)
{
    char path[40];

    (void)state;
    /* never at once: the kernel does not keep what it leads to */
    (void)snprintf(path, sizeof(path), "/proc/self/cwd/no-such-file-%d",
                   (int)getpid());
    have(path);
    assert_int_equal(spawn_allow_judge_file(&list, "/x", true, NULL),
                     SPAWN_ALLOW_NOT_LISTED);
    assert_int_equal(spawn_allow_judge_file(&list, "/x", false, NULL),
                     SPAWN_ALLOW_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_ends_at_a_slash),
        cmocka_unit_test(two_stars_do_not),
        cmocka_unit_test(names_of_functions_have_no_slash),
        cmocka_unit_test(the_rest_is_fnmatch),
        cmocka_unit_test(sets_are_sets),
        cmocka_unit_test(what_is_no_pattern_is_told),
        cmocka_unit_test(an_empty_list_allows_all),
        cmocka_unit_test(what_is_named_excludes_all_else),
        cmocka_unit_test(an_exclusion_counts_wherever_it_stands),
        cmocka_unit_test(it_is_known_when_no_program_runs),
        cmocka_unit_test(only_one_program_is_a_path),
        cmocka_unit_test(another_name_of_a_function_is_that_function),
        cmocka_unit_test(a_long_module_is_not_listed),
        cmocka_unit_test(a_module_is_loaded_that_may_be_called),
        cmocka_unit_test(variables_that_bring_code_are_known),
        cmocka_unit_test(a_file_is_where_its_links_lead),
        cmocka_unit_test(so_many_files_may_be_open),
        cmocka_unit_test(a_file_that_has_no_name_is_not_left_open),
        cmocka_unit_test(it_is_told_without_waiting_or_not_at_all),
        cmocka_unit_test(a_path_of_the_list_may_be_a_link),
        cmocka_unit_test(so_may_be_that_of_an_exclusion),
        cmocka_unit_test(what_cannot_be_told_at_once_is_left_to_others)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("allow", tests, make_dir, remove_dir);
}
