/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIGURE as the spawner takes it: whom jobs and broker run as, what is
 * refused and loses nothing, which descriptors are kept, for whom, and until
 * when; and that all of it reaches each broker as it came.
 */
#include "t/unit/spawner_look.h"

static uint8_t secret[SPAWN_SECRET_SIZE] = {7};

/* The values of CONFIGURE; a test changes its own. */
static struct {
    size_t secret_length;
    uint64_t uid, gid, groups[300], broker_uid; /* ~0: not said */
    uint32_t groups_count;
    uint64_t file_limit[2];
    uint32_t file_limit_count;
    uint64_t bounding_set; /* ~0: not said */
    uint64_t log_level;
    const char *tag; /* for the system's log; NULL: this one */
    uint64_t roles[40];
    int fds[40];
    unsigned count;
    unsigned rules; /* more of them */
    bool no_life;
    const char *socket_path; /* NULL: where brokers bring their links */
} say;

static void usual(void)
{
    memset(&say, 0, sizeof(say));
    say.secret_length = sizeof(secret);
    say.uid = say.gid = say.broker_uid = NOBODY;
    say.bounding_set = ~0ull;
    say.log_level = 5;
    say.roles[0] = SPAWN_FD_BROKER_BIN;
    say.fds[0] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    say.count = 1;
}

static void add_fd(uint64_t role, int fd)
{
    say.roles[say.count] = role;
    say.fds[say.count++] = fd;
}

static void put_rules(spawn_writer *w, const char *name)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);

    spawn_put_str(w, SPAWN_A_QUEUE, name);
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(w, mark);
}

static void put_account(spawn_writer *w)
{
    if (say.uid != ~0ull)
        spawn_put_u64(w, SPAWN_A_UID, say.uid);
    if (say.gid != ~0ull)
        spawn_put_u64(w, SPAWN_A_GID, say.gid);
    if (say.groups_count)
        spawn_put_u64v(w, SPAWN_A_GROUPS, say.groups, say.groups_count);
    if (say.broker_uid != ~0ull)
        spawn_put_u64(w, SPAWN_A_BROKER_UID, say.broker_uid);
    spawn_put_u64(w, SPAWN_A_BROKER_GID, NOBODY);
}

static spawn_id life;

static void configure(void)
{
    spawn_writer w;
    unsigned i;

    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, say.secret_length);
    if (!say.no_life)
        spawn_put_id(&w, SPAWN_A_INSTANCE, &life);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, say.roles, say.count);
    put_rules(&w, "default");
    for (i = 0; i < say.rules; i++)
        put_rules(&w, "another");
    spawn_put_u64(&w, SPAWN_A_HISTORY_JOBS, 4711);
    spawn_put_u64(&w, SPAWN_A_PARENT_PID, (uint64_t)getpid());
    spawn_put_str(&w, SPAWN_A_STORE_PATH, dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH,
                  say.socket_path ? say.socket_path : handover_path);
    spawn_put_u64(&w, SPAWN_A_LOG_LEVEL, say.log_level);
    if (geteuid() == 0)
        put_account(&w);
    if (say.file_limit_count)
        spawn_put_u64v(&w, SPAWN_A_FILE_LIMIT, say.file_limit,
                       say.file_limit_count);
    if (say.bounding_set != ~0ull)
        spawn_put_u64(&w, SPAWN_A_BOUNDING_SET, say.bounding_set);
    if (say.tag) {
        spawn_put_u64(&w, SPAWN_A_LOG_FACILITY, 8);
        spawn_put_str(&w, SPAWN_A_LOG_TAG, say.tag);
    }
    send_on(control, &w, say.fds, say.count);
    spawn_close_fds(say.fds, say.count);
    usual();
}

static int start(void **state)
{
    usual();
    if (!life.bytes[0])
        (void)spawn_id_make(&life);
    return start_with_log(state);
}

/* The first time, or again. */
static void configure_and_be_ready(bool again)
{
    configure();
    if (!again)
        take_link();
    expect_link(SPAWN_M_CONFIGURE);
}

static void is_ready(bool again)
{
    if (!again)
        expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* ---- whom ---- */

static void refused(const char *text)
{
    configure();
    expect_control(SPAWN_M_NOT_READY);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), text))
        fail_msg("'%s' is not told: %s", text,
                 spawn_str_or(&message, SPAWN_A_TEXT, ""));
}

static void what_is_refused_loses_nothing(void **state)
{
    const char *config = "the spawner cannot take the configuration: ";
    char text[256];

    (void)state;
    configure_and_be_ready(false);
    is_ready(false);
    say.secret_length--;
    (void)snprintf(text, sizeof(text), "%sInvalid argument", config);
    refused(text);
    if (geteuid() == 0) {
        say.uid = ~0ull;
        refused(text);
        say.gid = ~0ull;
        refused(text);
        say.broker_uid = ~0ull;
        refused(text);
        say.uid = UINT32_MAX; /* "unchanged" */
        refused(text);
        say.gid = UINT32_MAX;
        refused(text);
        say.broker_uid = UINT32_MAX;
        refused(text);
        (void)snprintf(text, sizeof(text), "%sOperation not permitted", config);
        say.uid = 0;
        refused(text);
        say.broker_uid = 0;
        refused(text);
        (void)snprintf(text, sizeof(text), "%sArgument list too long", config);
        say.groups_count = 257;
        refused(text);
    }
    next_broker(); /* it is told what was good */
    assert_int_equal(message.attr[SPAWN_A_SECRET].length, SPAWN_SECRET_SIZE);
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");
    goes_on();
}

static void accounts_are_those_that_were_named(void **state)
{
    char expected[4096] = "uid=65534 gid=65534 groups=65534";
    spawn_id id;
    uint32_t i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "they cannot be chosen");
    say.groups_count = 256;
    for (i = 0; i < say.groups_count; i++) {
        say.groups[i] = 70000 + i;
        (void)snprintf(expected + strlen(expected),
                       sizeof(expected) - strlen(expected), ",%u", 70000 + i);
    }
    configure_and_be_ready(false);
    is_ready(false);
    new_id(&id);
    launch(&id, "/bin/sh",
           "id | sed 's/([a-z]*)//g'; grep CapBnd /proc/self/status; "
           "ulimit -Hn",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    assert_memory_equal(out_text(), expected, strlen(expected));
    assert_true(proc_hex(spawner_pid, "CapBnd")
                == strtoull(strstr(out_text(), "CapBnd:") + 8, NULL, 16));
    assert_int_equal(strlen(proc_status(broker_pid(), "Groups")), 0);
    assert_int_equal(atoi(proc_status(broker_pid(), "Uid")), NOBODY);
}

static void limits_are_those_that_were_named(void **state)
{
    static const struct {
        uint64_t soft, hard;
        uint32_t count;
        const char *text;
    } rows[] = {{40, 60, 2, "40 60\n"},
                {40, 0, 1, "40 60\n"}, /* not understood: as it was */
                {50, 1ull << 40, 2, "50 1000\n"}};
    char expected[128] = "";
    struct rlimit files;
    spawn_id id;
    unsigned i;

    (void)state;
    configure_and_be_ready(false);
    is_ready(false);
    assert_int_equal(prlimit(spawner_pid, RLIMIT_NOFILE, NULL, &files), 0);
    for (i = 0; i < 3; i++) {
        say.file_limit[0] = rows[i].soft;
        say.file_limit[1] = rows[i].hard;
        say.file_limit_count = rows[i].count;
        if (geteuid() == 0)
            say.bounding_set = 5 + i;
        configure_and_be_ready(true);
        is_ready(true);
        new_id(&id);
        launch(&id, "/bin/sh",
               "echo $(ulimit -Sn) $(ulimit -Hn); "
               "grep CapBnd /proc/self/status >&2",
               NULL);
        expect_id(SPAWN_M_STARTED, &id);
        expect_exit(&id, 0);
        if (rows[i].hard > 1000)
            (void)snprintf(expected + strlen(expected), 40, "50 %ld\n",
                           (long)files.rlim_max);
        else
            (void)strcat(expected, rows[i].text);
    }
    assert_string_equal(out_text(), expected);
    if (geteuid() == 0) {
        say.bounding_set = 5;
        configure_and_be_ready(true);
        is_ready(true);
        new_id(&id);
        launch(&id, "/bin/sh", "grep CapBnd /proc/self/status", NULL);
        expect_id(SPAWN_M_STARTED, &id);
        expect_exit(&id, 0);
        assert_int_equal(strtoull(strstr(out_text(), "CapBnd:") + 8, NULL, 16),
                         5);
    }
}

/* ---- what the broker is told ---- */

static void expect_as_it_came(void)
{
    spawn_reader reader;
    spawn_attr a;
    unsigned rules = 0;
    spawn_id got;

    assert_int_equal(number(SPAWN_A_HISTORY_JOBS), 4711);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_STORE_PATH, ""), dir);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_SOCKET_PATH, ""),
                        handover_path);
    assert_int_equal(number(SPAWN_A_PARENT_PID), getpid());
    spawn_attr_id(&message.attr[SPAWN_A_INSTANCE], &got);
    assert_true(spawn_id_equal(&got, &life));
    assert_memory_equal(message.attr[SPAWN_A_SECRET].data, secret,
                        sizeof(secret));
    spawn_reader_init(&reader, packet.data + SPAWN_WIRE_HEADER,
                      packet.length - SPAWN_WIRE_HEADER);
    while (spawn_reader_next(&reader, &a) == 1)
        rules += a.id == SPAWN_A_QUEUE_RULES;
    assert_int_equal(rules, 4);
}

static void each_broker_is_told_all(void **state)
{
    (void)state;
    say.rules = 3;
    configure_and_be_ready(false);
    expect_as_it_came();
    is_ready(false);
    next_broker();
    expect_as_it_came();
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");
    say.rules = 3;
    say.no_life = true; /* it stays what it was */
    configure_and_be_ready(true);
    expect_as_it_came();
    is_ready(true);
}

/* The broker gets it as a word. */
static void the_longest_path_is_not_cut(void **state)
{
    char path[108];

    (void)state;
    /* as many slashes as there is room for */
    memset(path, '/', sizeof(path));
    memcpy(path, dir, strlen(dir));
    (void)strcpy(path + sizeof(path) - sizeof("handover"), "handover");
    say.socket_path = path;
    configure_and_be_ready(false);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_SOCKET_PATH, ""), path);
    is_ready(false);
}

/* The kernel says who has sent what comes over it. */
static void who_asks_is_known(void **state)
{
    char path[108];
    struct sockaddr_un a;
    int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int ours = dup(listening), passes = 0;
    socklen_t length, size = sizeof(passes);

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/other", dir);
    length = (socklen_t)unix_address(path, &a);
    assert_int_equal(bind(listening, (struct sockaddr *)&a, length), 0);
    assert_int_equal(listen(listening, 5), 0);
    add_fd(SPAWN_FD_CONTROL, listening);
    configure_and_be_ready(false);
    is_ready(false);
    /* also of what is sent before it accepts the connection */
    assert_int_equal(getsockopt(ours, SOL_SOCKET, SO_PASSCRED, &passes, &size),
                     0);
    assert_int_equal(passes, 1);
    assert_int_equal(connect(sock, (struct sockaddr *)&a, length), 0);
    send_plain(sock, SPAWN_M_ASK);
    next_message(sock, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_int_equal(message.header.type, SPAWN_M_ASK);
    assert_int_equal(number(SPAWN_A_HTTPD), getpid());
    (void)close(ours);
    (void)close(sock);
}

/* ---- descriptors ---- */

#define ROLES 12

static int watch_end[ROLES + 40]; /* ends when nobody has the other one */

static void add_pipe(uint64_t role)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    watch_end[say.count] = ends[0];
    add_fd(role, ends[1]);
}

static bool is_kept(int end)
{
    struct pollfd p = {end, POLLIN, 0};

    return poll(&p, 1, 0) == 0;
}

/* Which of the roles came along, as bits. */
static unsigned roles_told(void)
{
    const spawn_attr *roles = &message.attr[SPAWN_A_FD_ROLES];
    unsigned told = 0, i;

    for (i = 0; i < packet.fds_count; i++) {
        if (spawn_u64v_at(roles, i) < 32)
            told |= 1u << spawn_u64v_at(roles, i);
    }
    return told;
}

static void each_descriptor_has_its_role(void **state)
{
    static const uint64_t roles[] = {
        SPAWN_FD_POST_TX, SPAWN_FD_INBOX, SPAWN_FD_LOCK,   SPAWN_FD_SPAWNER_BIN,
        SPAWN_FD_LISTEN,  SPAWN_FD_KEPT,  SPAWN_FD_POST_RX};
    static const uint64_t unknown[] = {
        0, SPAWN_FD_ROLES, SPAWN_FD_ROLES + 1, 31, 33, 1000};
    enum {
        KNOWN = sizeof(roles) / sizeof(roles[0]),
        UNKNOWN = sizeof(unknown) / sizeof(unknown[0])
    };
    const unsigned for_broker = 1u << SPAWN_FD_INBOX | 1u << SPAWN_FD_LISTEN
                                | 1u << SPAWN_FD_KEPT | 1u << SPAWN_FD_POST_RX;
    int first[KNOWN + 1];
    unsigned i;

    (void)state;
    for (i = 0; i < KNOWN; i++)
        add_pipe(roles[i]);
    configure_and_be_ready(false);
    assert_int_equal(roles_told(), for_broker);
    is_ready(false);
    for (i = 1; i <= KNOWN; i++) {
        assert_true(is_kept(watch_end[i]));
        first[i] = watch_end[i];
    }
    /* others take their places; what is not known is not kept */
    for (i = 0; i < KNOWN; i++)
        add_pipe(roles[i]);
    for (i = 0; i < UNKNOWN; i++)
        add_pipe(unknown[i]);
    configure_and_be_ready(true);
    assert_int_equal(roles_told(), for_broker);
    is_ready(true);
    for (i = 1; i <= KNOWN; i++) {
        assert_true(has_ended(first[i]));
        (void)close(first[i]);
        assert_true(is_kept(watch_end[i]));
    }
    for (; i <= KNOWN + UNKNOWN; i++) {
        assert_true(has_ended(watch_end[i]));
        (void)close(watch_end[i]);
    }
    goes_on();
    for (i = 1; i <= KNOWN; i++)
        (void)close(watch_end[i]);
}

static unsigned vhost_logs_told(void)
{
    const spawn_attr *roles = &message.attr[SPAWN_A_FD_ROLES];
    unsigned told = 0, i;

    for (i = 0; i < packet.fds_count; i++)
        told += spawn_u64v_at(roles, i) == SPAWN_FD_VHOST_LOG;
    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    return told;
}

static void logs_of_virtual_hosts_are_bounded(void **state)
{
    int first[SPAWN_VHOST_LOGS_MAX + 2];
    unsigned i;

    (void)state;
    for (i = 0; i < SPAWN_VHOST_LOGS_MAX + 1; i++)
        add_pipe(SPAWN_FD_VHOST_LOG);
    configure_and_be_ready(false);
    assert_int_equal(vhost_logs_told(), SPAWN_VHOST_LOGS_MAX);
    is_ready(false);
    assert_true(has_ended(watch_end[SPAWN_VHOST_LOGS_MAX + 1]));
    for (i = 1; i <= SPAWN_VHOST_LOGS_MAX; i++) {
        assert_true(is_kept(watch_end[i]));
        first[i] = watch_end[i];
    }
    (void)close(say.fds[0]);
    say.count = 0; /* without descriptors all stay */
    configure_and_be_ready(true);
    assert_int_equal(vhost_logs_told(), SPAWN_VHOST_LOGS_MAX);
    is_ready(true);
    add_pipe(SPAWN_FD_VHOST_LOG); /* with others they go */
    configure_and_be_ready(true);
    assert_int_equal(vhost_logs_told(), 1);
    is_ready(true);
    for (i = 1; i <= SPAWN_VHOST_LOGS_MAX; i++) {
        assert_true(has_ended(first[i]));
        (void)close(first[i]);
    }
    assert_true(is_kept(watch_end[1]));
    (void)close(watch_end[1]);
}

/* ---- the log ---- */

/* MS0308 */
static void provoke_a_line(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LAUNCH); /* without an id */
    send_on(link_fd, &w, NULL, 0);
    goes_on();
}

static void lines_go_to_the_log_that_was_named(void **state)
{
    int other = spawn_os_memfd("other");
    char text[4096];
    ssize_t n;

    (void)state;
    add_fd(SPAWN_FD_LOG, dup(other));
    configure_and_be_ready(false);
    assert_true(roles_told() & 1u << SPAWN_FD_LOG);
    is_ready(false);
    provoke_a_line();
    assert_int_equal(log_count("MS0308"), 0);
    n = pread(other, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(text, "MS0308"));
    (void)close(other);
}

/* A process that fills the pipe of a log, or does not read from it, holds
 * nobody up: spawner and broker have descriptions of their own, which do not
 * wait. */
static void piped_logs_are_not_waited_for(void **state)
{
    const spawn_attr *roles = &message.attr[SPAWN_A_FD_ROLES];
    unsigned i, own = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    add_fd(SPAWN_FD_LOG, dup(ends[1]));
    add_fd(SPAWN_FD_VHOST_LOG, dup(ends[1]));
    configure_and_be_ready(false);
    for (i = 0; i < packet.fds_count; i++) {
        uint64_t role = spawn_u64v_at(roles, i);

        own += (role == SPAWN_FD_LOG || role == SPAWN_FD_VHOST_LOG)
               && fcntl(packet.fds[i], F_GETFL) & O_NONBLOCK;
    }
    assert_int_equal(own, 2);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void lines_have_the_level_that_was_named(void **state)
{
    (void)state;
    say.log_level = 6; /* info */
    configure_and_be_ready(false);
    is_ready(false);
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    expect_log("MS0310: httpd has gone (its link has ended)");
}

static void notice_is_the_usual_level(void **state)
{
    (void)state;
    configure_and_be_ready(false);
    is_ready(false);
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    assert_int_equal(log_count("MS0310"), 0);
}

static void no_system_log(void)
{
    log_to_file();
    deny_bits(SYS_socket, 1, SOCK_DGRAM, ENOENT);
}

static int start_without_system_log(void **state)
{
    usual();
    new_log();
    before_exec = no_system_log;
    return start_spawner(state);
}

/* They are for the system's log, and kept while there is none. */
static void lines_for_the_systems_log(void **state)
{
    int kept = spawn_os_memfd("kept");
    char text[4096];
    int status;
    ssize_t n;

    (void)state;
    say.tag = "httpd";
    add_fd(SPAWN_FD_KEPT, dup(kept));
    configure_and_be_ready(false);
    is_ready(false);
    provoke_a_line();
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();
    status = spawner_ends();
    assert_int_equal(status, 0);
    n = pread(kept, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(text, "MS0308"));
    assert_null(strstr(text, "MS0302")); /* an end that is none to tell of */
    assert_int_equal(log_count("MS0308"), 0);
    (void)close(kept);
}

/* ---- memory ---- */

static void configuring_often_needs_no_more_memory(void **state)
{
    long before = 0;
    int i;

    (void)state;
    say.rules = 500;
    configure_and_be_ready(false);
    is_ready(false);
    for (i = 0; i < 100; i++) {
        say.rules = 500; /* some 30 kB */
        configure_and_be_ready(true);
        is_ready(true);
        if (i == 20)
            before = proc_pages(spawner_pid);
    }
    assert_in_range(proc_pages(spawner_pid), before - 200, before + 200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(what_is_refused_loses_nothing),
        T(accounts_are_those_that_were_named),
        T(limits_are_those_that_were_named),
        T(each_broker_is_told_all),
        T(the_longest_path_is_not_cut),
        T(who_asks_is_known),
        T(each_descriptor_has_its_role),
        T(logs_of_virtual_hosts_are_bounded),
        T(lines_go_to_the_log_that_was_named),
        T(piped_logs_are_not_waited_for),
        T(lines_have_the_level_that_was_named),
        T(notice_is_the_usual_level),
        cmocka_unit_test_setup_teardown(lines_for_the_systems_log,
                                        start_without_system_log, stop_all),
        T(configuring_often_needs_no_more_memory),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_configured", tests, NULL, NULL);
}
