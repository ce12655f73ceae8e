/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The areas of a process's memory: what /proc says of each, however the text
 * comes in and whatever stands in it that is not known; of this process and of
 * another one; what cannot be read. The text is forged, and once the real one.
 */
#include <fcntl.h>
#include <unistd.h>

static int play_open(const char *path, int flags);
static ssize_t play_read(int fd, void *to, size_t room);

/* the library has its own */
#define spawn_areas       areas
#define spawn_area_has    area_has
#define spawn_area_frozen area_frozen
#define open              play_open
#define read              play_read
#include "common/spawn_areas.c"
#undef open
#undef read

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char *text; /* NULL: as it is */
static size_t at, step;  /* bytes read so far; bytes at once */
static size_t fails_at;  /* then reading fails; 0: never */
static char opened[64];
static int closed_fd;

static int play_open(const char *path, int flags)
{
    (void)snprintf(opened, sizeof(opened), "%s", path);
    at = 0;
    return open(path, flags);
}

static ssize_t play_read(int fd, void *to, size_t room)
{
    size_t n;

    closed_fd = fd;
    if (!text)
        return read(fd, to, room);
    n = strlen(text + at);
    if (fails_at && at >= fails_at) {
        errno = EIO;
        return -1;
    }
    n = n > step ? step : n;
    n = n > room ? room : n;
    memcpy(to, text + at, n);
    at += n;
    return (ssize_t)n;
}

#define MOST 8
static spawn_area found[MOST];
static size_t count, wanted;

static bool note(const spawn_area *area, void *arg)
{
    assert_ptr_equal(arg, &count);
    assert_true(count < wanted);
    found[count++] = *area;
    return count < wanted;
}

static int look(const char *forged, size_t at_once, size_t most)
{
    text = forged;
    step = at_once;
    wanted = most;
    count = 0;
    memset(found, 0xff, sizeof(found));
    return spawn_areas(0, note, &count);
}

static void is(const spawn_area *a, uint64_t from, uint64_t to,
               const char *rights, const char *name)
{
    assert_int_equal(a->from, from);
    assert_int_equal(a->to, to);
    assert_string_equal(a->rights, rights);
    assert_string_equal(a->name, name);
}

static void sizes(const spawn_area *a, uint64_t resident, uint64_t proportional,
                  uint64_t alone, uint64_t anonymous)
{
    assert_int_equal(a->resident, resident * 1024);
    assert_int_equal(a->proportional, proportional * 1024);
    assert_int_equal(a->alone, alone * 1024);
    assert_int_equal(a->anonymous, anonymous * 1024);
}

/* ---- what it says ---- */

static const char three[] =
    "558d1e0a9000-558d1e0aa000 r--p 0001f000 fe:00 1234                       "
    "/usr/bin/a program\n"
    "Size:                  4 kB\n"
    "KernelPageSize:        4 kB\n"
    "Rss:                   11 kB\n"
    "Pss:                   7 kB\n"
    "Pss_Dirty:             99 kB\n"
    "Shared_Clean:          98 kB\n"
    "Private_Clean:         2 kB\n"
    "Private_Dirty:         3 kB\n"
    "Anonymous:             1 kB\n"
    "AnonHugePages:         97 kB\n"
    "ProtectionKey:         0\n"
    "THPeligible:           0\n"
    "VmFlags: rd mr mw me ac sd \n"
    "NewerThanThis: wr \n"
    "7f0000000000-7f0000400000 rw-s 00000000 00:01 1026 "
    "/memfd:spawn-template (deleted)\n"
    "Rss: 4096 kB\n"
    "ProtectionKey: 9\n"
    "VmFlags: rd wr io dd\n"
    "a line without a colon\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0\n"
    "Rss:5 kB\n";

static void all_there_is(size_t at_once)
{
    assert_int_equal(look(three, at_once, MOST), 0);
    assert_int_equal(count, 3);
    is(&found[0], 0x558d1e0a9000, 0x558d1e0aa000, "r--p", "/usr/bin/a program");
    sizes(&found[0], 11, 7, 5, 1);
    assert_false(found[0].has_key);
    assert_true(spawn_area_has(&found[0], "rd"));
    assert_true(spawn_area_has(&found[0], "sd"));
    assert_false(spawn_area_has(&found[0], "wr"));
    assert_false(spawn_area_has(&found[0], "dm"));
    assert_false(spawn_area_frozen(&found[0]));
    is(&found[1], 0x7f0000000000, 0x7f0000400000, "rw-s",
       "/memfd:spawn-template (deleted)");
    sizes(&found[1], 4096, 0, 0, 0);
    assert_true(found[1].has_key);
    assert_true(spawn_area_has(&found[1], "dd"));
    assert_true(spawn_area_frozen(&found[1]));
    is(&found[2], 0xffffffffff600000, 0xffffffffff601000, "--xp", "");
    sizes(&found[2], 5, 0, 0, 0);
    assert_string_equal(found[2].flags, "");
    assert_false(spawn_area_has(&found[2], "rd"));
}

static void each_area_is_told(void **state)
{
    (void)state;
    all_there_is(1 << 20);
    all_there_is(1);
    all_there_is(7);
    assert_string_equal(opened, "/proc/self/smaps");
}

static void no_more_than_wanted(void **state)
{
    (void)state;
    assert_int_equal(look(three, 1, 1), 0);
    assert_int_equal(count, 1);
    is(&found[0], 0x558d1e0a9000, 0x558d1e0aa000, "r--p", "/usr/bin/a program");
    assert_int_equal(look(three, 1 << 20, 2), 0);
    assert_int_equal(count, 2);
    assert_int_equal(look("", 1, 1), 0);
    assert_int_equal(count, 0);
    /* values of nothing */
    assert_int_equal(look("Rss: 1 kB\n\n1000-2000 r--p 0 0 0\n", 1, 1), 0);
    assert_int_equal(count, 1);
    is(&found[0], 0x1000, 0x2000, "r--p", "");
    sizes(&found[0], 0, 0, 0, 0);
    /* a head that ends too soon has no rights of others */
    assert_int_equal(look("1000-2000 r--p 0 0 0\n3000-4000\n", 1, MOST), 0);
    assert_int_equal(count, 2);
    is(&found[1], 0x3000, 0x4000, "", "");
}

static void long_lines_are_cut(void **state)
{
    char room[5000], name[64];

    (void)state;
    memset(room, 'n', sizeof(room));
    memcpy(room, "1000-2000 r--p 0 0 5 /", 22);
    (void)snprintf(room + 4000, 1000, "\nRss: 3 kB\n3000-4000 rw-p 0 0 0\n");
    assert_int_equal(look(room, 100, MOST), 0);
    assert_int_equal(count, 2);
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[63] = '\0';
    is(&found[0], 0x1000, 0x2000, "r--p", name);
    sizes(&found[0], 3, 0, 0, 0);
    is(&found[1], 0x3000, 0x4000, "rw-p", "");
}

static void what_is_frozen_has_this_name(void **state)
{
    static const struct {
        const char *name;
        bool is;
    } names[] = {{"/memfd:spawn-template", true},
                 {"/memfd:spawn-template (deleted)", true},
                 {"/memfd:spawn-template2 (deleted)", false},
                 {"/memfd:spawn-templatX (deleted)", false},
                 {"/memfd:spawn-board (deleted)", false},
                 {"/tmp/memfd:spawn-template", false},
                 {"[heap]", false},
                 {"", false}};
    spawn_area a;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        memset(&a, 0, sizeof(a));
        (void)snprintf(a.name, sizeof(a.name), "%s", names[i].name);
        assert_int_equal(spawn_area_frozen(&a), names[i].is);
    }
}

/* ---- what cannot be read ---- */

static void what_cannot_be_read_is_told(void **state)
{
    (void)state;
    fails_at = 300;
    assert_int_equal(look(three, 300, MOST), -EIO);
    fails_at = 0;
    assert_true(fcntl(closed_fd, F_GETFD) < 0);
    assert_int_equal(count, 0); /* not all is known of the one */
    text = NULL;
    assert_int_equal(spawn_areas(999999999, note, &count), -ENOENT);
    assert_string_equal(opened, "/proc/999999999/smaps");
    assert_int_equal(look(three, 300, MOST), 0);
    assert_true(fcntl(closed_fd, F_GETFD) < 0);
}

/* ---- the real one ---- */

static bool covers(const spawn_area *a, void *arg)
{
    uintptr_t *p = arg;

    if (*p < a->from || *p >= a->to)
        return true;
    found[0] = *a;
    *p = 0;
    return false;
}

static void a_process_has_its_own(void **state)
{
    uintptr_t here = (uintptr_t)&here;

    (void)state;
    text = NULL;
    assert_int_equal(spawn_areas(getpid(), covers, &here), 0);
    assert_int_equal(here, 0);
    assert_string_equal(found[0].rights, "rw-p");
    assert_string_equal(found[0].name, "[stack]");
    assert_true(found[0].resident >= 4096 && found[0].anonymous >= 4096);
    assert_true(spawn_area_has(&found[0], "gd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_area_is_told),
        cmocka_unit_test(no_more_than_wanted),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(what_is_frozen_has_this_name),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(a_process_has_its_own)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
