/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the spawner keeps a broker alive: what it does when one dies (young, old,
 * in an upgrade, after its good-bye, or without an end), and when it gives up.
 */
#include "t/unit/spawner_brokers.h"

/* ---- when it dies ---- */

/* One lives, and is so old. */
static void have_broker(int64_t age)
{
    int ends[2];

    make_pair(ends);
    spawn_close_fds(&its_end, 1);
    its_end = ends[1];
    spawn_close_fds(&spawner.link, 1);
    spawner.link = ends[0];
    spawner.broker_pid = 77;
    spawner.broker_since = clock_ms - age;
    spawner.broker_ready = true;
    spawner.broker_start_at = 0;
    called[0] = '\0';
}

static void expect_started(void)
{
    assert_int_equal(spawner.broker_pid, 4242);
    assert_true(spawner.link >= 0);
    assert_int_equal(spawner.broker_start_at, 0);
}

static void expect_planned(int64_t delay)
{
    assert_int_equal(spawner.broker_start_at, clock_ms + delay);
    assert_int_equal(spawner.broker_pid, 0);
    assert_int_equal(spawner.link, -1);
}

static void who_dies_young_has_its_successor_later(void **state)
{
    static const int delays[] = {0,    100,  200,   400,   800,  1600,
                                 3200, 6400, 10000, 10000, 10000};
    unsigned i;

    (void)state;
    for (i = 0; i < 11; i++) {
        have_broker(4999);
        broker_died(0);
        assert_int_equal(spawner.broker_deaths, i + 1);
        if (delays[i] == 0)
            expect_started();
        else
            expect_planned(delays[i]);
    }
    spawner.broker_deaths = 1000;
    have_broker(0);
    broker_died(0);
    expect_planned(10000);
    have_broker(5000);
    broker_died(0);
    expect_started();
    assert_int_equal(spawner.broker_deaths, 0);
    have_broker(0);
    broker_died(0);
    expect_started();
}

/* It is that of its programs when it started: a configuration of another
 * release changes nothing for one that runs, and has to be watched until it has
 * ended. */
static void its_release_is_that_of_its_start(void **state)
{
    (void)state;
    spawner.programs_are_of_our_release = true;
    broker_start();
    assert_true(spawner.broker_is_of_our_release);
    spawner.programs_are_of_our_release = false;
    broker_start();
    assert_false(spawner.broker_is_of_our_release);
}

/* Which build runs is asked later, when another may be installed. */
static void what_is_executed_is_noted(void **state)
{
    (void)state;
    noted = 0;
    broker_start();
    assert_int_equal(noted, 1);
}

/* The descriptors of its start are kept for the next one as soon as they are
 * free: those of its link, and those of its death. */
static void descriptors_are_kept_for_the_next_start(void **state)
{
    (void)state;
    used_up = filled = 0;
    broker_start();
    assert_int_equal(used_up, 1);
    assert_int_equal(filled, 1);
    spawner.broker_deaths = 1;
    have_broker(0);
    filled = 0;
    broker_died(0);
    expect_planned(100);
    assert_int_equal(filled, 1);
    assert_false(filled_with_link);
}

static void how_it_died_is_told(void **state)
{
    (void)state;
    have_broker(9000);
    broker_died(9);
    expect_logged("MS0306: the broker was killed by signal 9; another starts "
                  "in 0 ms, running jobs go on");
    have_broker(9000);
    broker_died(3 << 8);
    expect_logged("MS0306: the broker ended with code 3; another");
    have_broker(9000);
    broker_died(END_HANGS);
    expect_logged("MS0306: the broker hangs in its end, in a handle that does "
                  "not close; another");
    expect_called("order; watch link in; "); /* and httpd is told nothing */
}

/* Its orders before that count, to the last. */
static void its_last_orders_are_taken(void **state)
{
    (void)state;
    have_broker(9000);
    ordered = 3;
    spawner.tell.quit = spawner.tell.places = true;
    spawner.tell.cursor = 8;
    spawner.tell.held_cursor = (held *)(uintptr_t)&ordered;
    spawner.broker_ending_at = 5;
    broker_died(0);
    expect_called("order; order; order; order; watch link in; ");
    expect_started();
    assert_int_equal(spawner.broker_ending_at, 0);
    expect_closed(its_end);
    /* and the next one is told all anew */
    assert_true(spawner.tell.configure && spawner.tell.sync
                && spawner.tell.table_end);
    assert_false(spawner.tell.quit || spawner.tell.places || spawner.tell.held
                 || spawner.tell.go || spawner.tell.linger);
    assert_int_equal(spawner.tell.cursor, 1);
    assert_null(spawner.tell.held_cursor);
    assert_false(spawner.broker_ready);
}

static void its_successor_is_told_what_holds(void **state)
{
    (void)state;
    spawner.gone_on = true;
    broker_start();
    assert_true(spawner.tell.go && !spawner.tell.linger);
    spawner.lingering = true;
    broker_start();
    assert_true(!spawner.tell.go && spawner.tell.linger);
    spawner.gone_on = false;
    broker_start();
    assert_true(!spawner.tell.go && spawner.tell.linger);
    spawner.lingering = false;
    broker_start();
    assert_true(!spawner.tell.go && !spawner.tell.linger);
}

static void httpd_is_told_of_one_that_was_never_ready(void **state)
{
    (void)state;
    have_broker(9000);
    spawner.broker_ready = false;
    broker_died(0);
    expect_called("order; not ready 'the broker ended before it was ready; the "
                  "lines above say why'; watch link in; ");
    have_broker(9000);
    broker_died(0);
    expect_called("order; watch link in; ");
    /* adopted just when it said bye: its successor will be ready */
    have_broker(9000);
    spawner.broker_ready = false;
    spawner.broker_said_bye = true;
    broker_died(0);
    expect_called("order; watch link in; ");
    assert_false(spawner.broker_said_bye);
    /* one that could not be started has no link to read orders from */
    have_broker(9000);
    spawn_close_fds(&spawner.link, 1);
    broker_died(0);
    expect_called("watch link in; ");
}

static void another_release_takes_its_place(void **state)
{
    (void)state;
    have_broker(9000);
    spawner.upgrading = true;
    broker_died(0);
    expect_called("order; upgrade_exec; watch link in; ");
    assert_false(spawner.upgrading);
    expect_started(); /* the old self goes on */
}

/* ---- the end ---- */

static bool its_death_ends_all(int64_t age)
{
    have_broker(age);
    end_code = -1;
    return ENDS(broker_died(0));
}

static void its_good_bye_ends_a_lingering_pair(void **state)
{
    int posts[2];

    (void)state;
    spawner.broker_said_bye = true;
    assert_false(its_death_ends_all(9000)); /* it does not linger */
    spawner.lingering = true;
    spawner.gone_on = true;
    assert_false(its_death_ends_all(9000)); /* it has not said bye */
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 0);
    assert_true(spawner.ending);

    spawner.ending = false; /* nothing is there, nothing can come */
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 0);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    spawn_close_fds(posts, 2);

    make_pair(posts); /* something is: another broker stores it */
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    spawner.broker_said_bye = true;
    assert_false(its_death_ends_all(9000));
    expect_called("order; control_leave; watch link in; ");
    expect_started();
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_false(log_says("MS0306: the broker ended with code 0; another "
                          "starts in 0 ms, running jobs go on")
                 && spawner.broker_deaths > 0);
    spawn_close_fds(posts, 2);

    posts[0] = spawn_os_memfd("posts"); /* it cannot be asked */
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    (void)close(posts[0]);
}

/* By systemd; its jobs run on. */
static void when_told_to_end_it_leaves_no_posts(void **state)
{
    int posts[2];

    (void)state;
    told_to_end = true;
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_true(its_death_ends_all(9000)); /* httpd has the socket, too */
    assert_int_equal(end_code, 0);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);

    spawner.lingering = true;
    assert_false(its_death_ends_all(9000));
    expect_called("order; watch link in; ");
    expect_started();
    assert_true(spawner.tell.linger && spawner.tell.quit);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_true(its_death_ends_all(9000)); /* that one has them, or cannot */
    spawn_close_fds(posts, 2);

    spawner.ending = false; /* one that fails, and would again */
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    have_broker(9000);
    assert_true(ENDS(broker_died(9)));
    spawn_close_fds(posts, 2);
}

/* httpd has gone in the same moment, which no event has told yet. */
static void when_told_to_end_as_httpd_ends_it_leaves_no_posts(void **state)
{
    int posts[2];

    (void)state;
    told_to_end = httpd_has_gone = true;
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_false(its_death_ends_all(9000));
    expect_called("order; watch link in; ");
    expect_started();
    assert_true(spawner.tell.quit);
    assert_true(its_death_ends_all(9000));
    spawn_close_fds(posts, 2);
}

static void told_to_end_its_broker_is_told(void **state)
{
    (void)state;
    have_broker(9000);
    assert_false(ENDS(broker_stop()));
    assert_true(spawner.tell.quit);
    expect_called("");
}

/* The last one has died, and another was to start later. */
static void told_to_end_without_a_broker_it_has_the_posts_stored(void **state)
{
    (void)state;
    told_to_end = true;
    assert_true(ENDS(broker_stop())); /* never configured */
    assert_int_equal(end_code, 0);
    spawner.config = malloc(1);
    spawner.broker_start_at = clock_ms + 100;
    assert_true(ENDS(broker_stop())); /* httpd has them */
    assert_int_equal(end_code, 0);
    expect_called("");
    httpd_has_gone = true;
    assert_false(ENDS(broker_stop()));
    expect_called("watch link in; ");
    expect_started();
    assert_true(spawner.tell.quit);
    free(spawner.config);
    spawner.config = NULL;
}

static void without_a_broker_and_jobs_it_gives_up(void **state)
{
    spawn_id id = {{1}};
    job *j;

    (void)state;
    spawner.lingering = true; /* httpd never said GO */
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 1);
    expect_called("order; ");
    spawner.lingering = false;
    assert_false(its_death_ends_all(9000));
    spawner.lingering = spawner.gone_on = true;
    assert_false(its_death_ends_all(9000));
    spawner.broker_deaths = 8;
    assert_false(its_death_ends_all(0));
    assert_true(its_death_ends_all(0)); /* the tenth */
    assert_int_equal(end_code, 1);
    /* while a job runs it tries on */
    j = table_add(&id);
    assert_false(its_death_ends_all(0));
    spawner.gone_on = false;
    assert_false(its_death_ends_all(0));
    j->state = JOB_ENDED;
    assert_true(its_death_ends_all(0));
    spawner.lingering = false;
    assert_false(its_death_ends_all(0));
}

/* ---- one that does not end ---- */

static void one_that_hangs_in_its_end_is_counted_as_dead(void **state)
{
    const spawn_id id = {{1}};
    int fd = spawn_os_memfd("handle");

    (void)state;
    have_broker(9000);
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms), -1); /* it has no handles */
    held_add(&id, 0, &fd, 1);
    spawner.broker_pid = 0;
    assert_int_equal(broker_timers(clock_ms), -1);
    spawner.broker_pid = 77;
    on_its_way_out = false;
    assert_int_equal(broker_timers(clock_ms), 1000);
    expect_called("look at 77; ");
    assert_int_equal(broker_timers(clock_ms + 1), 999);
    assert_int_equal(broker_timers(clock_ms + 999), 1);
    expect_called(""); /* not so often */
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms + 1000), 1000);
    assert_int_equal(spawner.broker_ending_at, clock_ms + 1000);
    on_its_way_out = false; /* another one, by now */
    assert_int_equal(broker_timers(clock_ms + 2000), 1000);
    assert_int_equal(spawner.broker_ending_at, 0);
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms + 3000), 1000);
    assert_int_equal(broker_timers(clock_ms + 4500), 1000);
    assert_int_equal(spawner.broker_ending_at, clock_ms + 3000);
    expect_called("look at 77; look at 77; look at 77; look at 77; ");
    assert_int_equal(broker_timers(clock_ms + 5000 + 499), 1);
    assert_int_equal(broker_timers(clock_ms + 5500), 1000);
    expect_called("look at 77; order; watch link in; ");
    expect_started();
    expect_logged("hangs in its end");
    /* exactly as long */
    spawner.broker_ready = true;
    spawner.broker_looked_at = 0;
    spawner.broker_ending_at = clock_ms + 6000;
    called[0] = '\0';
    assert_int_equal(broker_timers(clock_ms + 7999), 1000);
    expect_called("look at 4242; ");
    spawner.broker_looked_at = 0;
    assert_int_equal(broker_timers(clock_ms + 8000), 1000);
    expect_called("look at 4242; order; watch link in; ");
    held_remove(&id);
}

/* ---- what is said to it later ---- */

static void a_configuration_starts_one_unless_one_is_planned(void **state)
{
    (void)state;
    spawner.tell.linger = true;
    broker_configure();
    expect_started();
    expect_called("watch link in; ");
    spawner.tell.configure = false;
    spawner.tell.linger = true;
    broker_configure(); /* this one is told */
    assert_true(spawner.tell.configure && !spawner.tell.linger);
    expect_called("");
    spawn_close_fds(&spawner.link, 1);
    spawner.broker_start_at = clock_ms + 5;
    spawner.tell.linger = true;
    spawner.tell.configure = false;
    broker_configure();
    assert_false(spawner.tell.linger || spawner.tell.configure);
    expect_called("");
    assert_int_equal(spawner.link, -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_dies_young_has_its_successor_later),
        T(its_release_is_that_of_its_start),
        T(what_is_executed_is_noted),
        T(descriptors_are_kept_for_the_next_start),
        T(how_it_died_is_told),
        T(its_last_orders_are_taken),
        T(its_successor_is_told_what_holds),
        T(httpd_is_told_of_one_that_was_never_ready),
        T(another_release_takes_its_place),
        T(its_good_bye_ends_a_lingering_pair),
        T(when_told_to_end_it_leaves_no_posts),
        T(when_told_to_end_as_httpd_ends_it_leaves_no_posts),
        T(told_to_end_its_broker_is_told),
        T(told_to_end_without_a_broker_it_has_the_posts_stored),
        T(without_a_broker_and_jobs_it_gives_up),
        T(one_that_hangs_in_its_end_is_counted_as_dead),
        T(a_configuration_starts_one_unless_one_is_planned),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_broker_life", tests, NULL,
                                       NULL);
}
