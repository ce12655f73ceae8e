/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of jobs in the spawner (spawner/cgroup.c): plain directories
 * stand for those of cgroup v2, and what is written into files there is noted.
 */
#ifndef SPAWNER_CGROUPS_H
#define SPAWNER_CGROUPS_H

#define PART_HAS_TABLE
#define PART_HAS_CGROUP
#include "t/unit/spawner_part.h"

#include <dirent.h>
#include <time.h>

#include "common/spawn_cgroup.h"
#include "common/spawn_field.h"

/* ---- what is played ---- */

static char top[64];        /* of the test */
static char own_path[80];   /* of the spawner's cgroup; "": it has none */
static const char *refused; /* a file that cannot be written to, */
static int refused_error;   /* with this errno */
static int64_t mono;        /* ms */
static time_t wall;         /* s */

static inline int play_own(char *ret, size_t room)
{
    if (!own_path[0])
        return -EACCES;
    (void)snprintf(ret, room, "%s", own_path);
    return 0;
}

static inline int play_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static inline int play_put(int at, const char *file, const char *text)
{
    const char *name = strrchr(file, '/');

    assert_int_equal(fcntl(at, F_GETFD), FD_CLOEXEC);
    note("%s = %s", file, text);
    if (refused && strcmp(refused, name ? name + 1 : file) == 0)
        return -refused_error;
    return 0;
}

static unsigned controllers; /* that the directory gives */

static bool is_external;

bool external(void)
{
    return is_external;
}

static inline unsigned play_given(int at)
{
    (void)at;
    return controllers;
}

static bool has_processes; /* the directory */

static inline bool play_is_empty(int at)
{
    (void)at;
    return !has_processes;
}

static inline unsigned play_controllers(int at)
{
    (void)at;
    note("controllers");
    return controllers;
}

static inline int play_step_aside(int at)
{
    assert_int_equal(fcntl(at, F_GETFD), FD_CLOEXEC);
    note("step aside");
    controllers = SPAWN_CGROUP_ALL;
    return 0;
}

static inline time_t play_time(time_t *ret)
{
    assert_null(ret);
    return wall;
}

#define spawn_cgroup_own         play_own
#define spawn_cgroup_open        play_open
#define spawn_cgroup_put         play_put
#define spawn_cgroup_given       play_given
#define spawn_cgroup_controllers play_controllers
#define spawn_cgroup_is_empty    play_is_empty
#define spawn_cgroup_step_aside  play_step_aside
#define spawn_mono_ms()          mono
#define time                     play_time
#include "spawner/table.c"
#include "spawner/cgroup.c"
#undef time

/* ---- jobs ---- */

static spawn_writer w;
static spawn_message m;

typedef enum {
    A_PROGRAM,
    A_FUNCTION,
    A_TEMPLATE
} kind;

/* Its numbers are pairs: a limit and its value. */
static inline const spawn_message *order_of(kind is, const uint64_t *limits,
                                            unsigned count)
{
    const spawn_id id = {{1}};
    size_t mark;

    spawn_writer_free(&w);
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    if (limits)
        spawn_put_u64v(&w, SPAWN_A_LIMITS, limits, count);
    if (is == A_FUNCTION)
        spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &id);
    if (is == A_TEMPLATE)
        spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 0, &m,
                                         NULL),
                     0);
    return &m;
}

#define PROGRAM  order_of(A_PROGRAM, NULL, 0)
#define FUNCTION order_of(A_FUNCTION, NULL, 0)

/* It begins with a sum of the socket's path, so that each httpd has its own. */
#define OF_US   "spawn-acc63fb8-"
#define OF_THEM "spawn-29513996-"
#define ID(n)   n "010000-0000-7000-8000-000000000000"
#define NAME(n) OF_US ID(n)

static inline job *add(uint8_t n, unsigned attempt)
{
    const spawn_id id = {{n, 1, 0, 0, 0, 0, 0x70, 0, 0x80}};
    job *j = table_add(&id);

    assert_non_null(j);
    j->attempt = (uint8_t)attempt;
    return j;
}

/* The count of entries in the test's directory, without "." and "..". */
static inline unsigned entries_there(void)
{
    DIR *in = opendir(top);
    unsigned count = 0;

    assert_non_null(in);
    while (readdir(in))
        count++;
    (void)closedir(in);
    return count - 2;
}

static const char *in_dir(const char *name)
{
    static char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static inline bool is_there(const char *name)
{
    struct stat st;

    return stat(in_dir(name), &st) == 0 && S_ISDIR(st.st_mode);
}

static inline void make_one(const char *name)
{
    assert_int_equal(mkdir(in_dir(name), 0755), 0);
}

/* Something of the job is left there: it cannot be removed. */
static inline void leave_one_in(const char *name)
{
    char inner[128];

    (void)snprintf(inner, sizeof(inner), "%s/left", name);
    make_one(inner);
}

static inline void remove_one(const char *name)
{
    assert_int_equal(rmdir(in_dir(name)), 0);
}

static inline void remove_left_of(const char *name)
{
    char inner[128];

    (void)snprintf(inner, sizeof(inner), "%s/left", name);
    remove_one(inner);
}

/* Gets a directory; its descriptor is closed. */
static inline void has_one(job *j, const spawn_message *order)
{
    struct stat a, b;
    char name[64];
    int fd = -7;

    assert_int_equal(cgroup_make(j, order, &fd), 0);
    assert_true(fd > 2);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    name_of(j, name);
    assert_int_equal(fstat(fd, &a), 0);
    assert_int_equal(stat(in_dir(name), &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(b.st_mode & 0777, 0755);
    (void)close(fd);
    assert_true(cgroup_is_current(j));
}

static inline void has_none(job *j, const spawn_message *order, int result)
{
    unsigned before = open_count();
    int fd = -7;

    assert_int_equal(cgroup_make(j, order, &fd), result);
    assert_int_equal(fd, -1);
    assert_int_equal(open_count(), before);
    assert_int_equal(j->cgroup, 0);
    assert_false(cgroup_is_current(j));
}

static inline int start(void **state)
{
    (void)state;
    no_state();
    mono = 1000000;
    wall = time(NULL);
    refused = NULL;
    refused_error = 0;
    own_path[0] = '\0';
    controllers = SPAWN_CGROUP_ALL;
    (void)strcpy(spawner.socket_path, "/run/test/socket");
    (void)umask(022);
    (void)snprintf(top, sizeof(top), "%s/spawn-cgroups-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(top) || table_init() < 0)
        return -1;
    read_log();
    return 0;
}

/* All that is below it: of depth 2. */
static inline int stop(void **state)
{
    DIR *in = opendir(top);
    const struct dirent *e;
    char inner[300];

    (void)state;
    while (in && (e = readdir(in))) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(inner, sizeof(inner), "%s/left", e->d_name);
        (void)rmdir(in_dir(inner));
        (void)rmdir(in_dir(e->d_name));
        (void)unlink(in_dir(e->d_name));
    }
    if (in)
        (void)closedir(in);
    while (spawner.cgroup.bases_count > 0)
        (void)close(spawner.cgroup.bases[--spawner.cgroup.bases_count].fd);
    spawn_writer_free(&w);
    return rmdir(top);
}

static inline void no_more_descriptors(void)
{
    struct rlimit limit = {64, 64};

    (void)setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(0) >= 0)
        continue;
}

#endif
