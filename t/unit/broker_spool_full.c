/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the spool whose queue is full is read once, and again when there is
 * room. The protocol of broker_caller.h; inotify tells what is opened.
 */
#include "t/unit/broker_spooled.h"

#include <sys/inotify.h>

#include "common/spawn_spool.h"

#define LOOKS 3

static spawn_id job;
static char name[SPAWN_ID_TEXT];
static int watch = -1;
static unsigned opened, looks;

/* As httpd's children write it: under another name first. */
static void spool(void)
{
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    (void)spawn_id_format(&job, name);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    lies_in_spool(&job, &w);
}

/* Counts the broker's looks at the spool, after one at least. */
static void see(void)
{
    char events[4096] __attribute__((aligned(8)));
    struct pollfd p = {watch, POLLIN, 0};
    const struct inotify_event *e;
    ssize_t n, at;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    n = read(watch, events, sizeof(events));
    assert_true(n > 0);
    for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
        e = (const void *)(events + at);
        if (e->mask & IN_ISDIR)
            looks++;
        else if (e->mask & IN_OPEN && e->len > 0 && strcmp(e->name, name) == 0)
            opened++;
    }
}

static void it_is_read_when_there_is_room(void **state)
{
    char path[100];
    spawn_id first;
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    reach_go_and_call_in();
    (void)spawn_id_make(&first);
    submit_as(&first, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    (void)snprintf(path, sizeof(path), "%s/spool", dir);
    watch = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, path, IN_OPEN | IN_ACCESS) >= 0);
    spool();
    while (opened < 1)
        see();
    looks = opened = 0;
    while (looks < LOOKS) {
        assert_true(spawn_mono_ms() < end);
        see();
    }
    assert_int_equal(opened, 0);
    say_started(&first);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &job);
    (void)close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        it_is_read_when_there_is_room, set_up, tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("spool_full", tests, NULL, NULL);
}
