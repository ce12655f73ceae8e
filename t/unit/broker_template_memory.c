/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of templates: each is told how its memory is to be, and what could
 * not be done is in the log, when it is news.
 */
#include "t/unit/broker_play.h"

static unsigned modules; /* that it is to load */

static bool is_told(const char *wanted)
{
    const spawn_attr *argv = &message.attr[SPAWN_A_ARGV];
    const char *text = NULL;
    bool is = false;
    uint32_t i;

    modules = 0;
    for (i = 0; i < spawn_strv_count(argv); i++) {
        text = spawn_strv_next(argv, text);
        modules += strcmp(text, "preload=My::Module") == 0;
        if (strncmp(text, "memory=", 7) == 0)
            is = strcmp(text + 7, wanted) == 0;
    }
    return is;
}

static void each_is_told_how_its_memory_is_to_be(void **state)
{
    static const char *const names[] = {
        [0] = "shared", /* a module that does not know of it */
        [SPAWN_MEMORY_SHARED] = "shared",
        [SPAWN_MEMORY_HUGE] = "huge",
        [SPAWN_MEMORY_FROZEN] = "frozen",
        [SPAWN_MEMORY_FROZEN + 1] = "shared"};

    uint64_t memory;

    for (memory = 0; memory < sizeof(names) / sizeof(names[0]); memory++) {
        rules = "My::Module";
        template_memory = memory;
        reach_go();
        expect(SPAWN_M_LAUNCH);
        assert_true(is_told(names[memory]));
        assert_int_equal(modules, 1);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

/* A template is started, and says this. */
static void one_says(const char *text)
{
    spawn_writer w;
    spawn_id id;

    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    say_started(&id);
    begin(&w, SPAWN_M_TEMPLATE_SAID, &id);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    if (text)
        spawn_put_str(&w, SPAWN_A_TEXT, text);
    send_fds(&w, NULL, 0);
}

static void next_says(const char *text)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    one_says(text);
    expect(SPAWN_M_DISMISS); /* the one before */
}

static void what_could_not_be_done_is_told_once(void **state)
{
    (void)state;
    rules = "My::Module";
    log_is_kept = true;
    reach_go();
    one_says("9 modules, 7 kB");
    next_says("9 modules, 7 kB\nno memfd");
    wait_until_logged("MS0691", 1);
    assert_int_equal(logged("template app (pid 4000000) serves with its memory "
                            "not as SpawnTemplateMemory says: no memfd"),
                     1);
    next_says("9 modules, 8 kB\nno memfd"); /* no news */
    next_says("9 modules, 7 kB\nno room");
    wait_until_logged("no room", 1);
    assert_int_equal(logged("MS0691"), 2);
    next_says(NULL); /* all went well */
    next_says("9 modules, 7 kB\nno room");
    wait_until_logged("no room", 2);
    assert_int_equal(logged("MS0691"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_told_how_its_memory_is_to_be,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_done_is_told_once,
                                        set_up, tear_down)};

    find_broker();
    return cmocka_run_group_tests_name("memory of templates", tests, NULL,
                                       NULL);
}
