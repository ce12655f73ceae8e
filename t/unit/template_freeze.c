/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frozen memory: it is what it was, each process writes its own copy, and it
 * costs a fork no page tables. Memory that must not be moved is not. There are
 * other ways.
 */
#include "common/spawn_process.h"
#include "t/unit/template_freezing.h"

static int descriptors(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Does this process's child, which ends with 0 if so. */
static void by_a_child(bool (*body)(char *), char *arg)
{
    pid_t pid = fork();
    int status;

    SO(pid >= 0);
    if (pid == 0)
        _exit(body(arg) ? 0 : 1);
    SO(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- it is what it was, and each has its own ---- */

static char in_data[3 * 65536] = "data", in_bss[3 * 65536];

static bool writes_its_own(char *p)
{
    size_t i;

    for (i = 0; i < 8 * MB; i += 4096) {
        if (p[i] != 'x')
            return false;
        p[i] = 'y';
    }
    in_data[0] = 'D';
    in_bss[5] = 'B';
    return p[4 * MB] == 'y' && in_data[0] == 'D' && in_bss[5] == 'B';
}

static bool is_unwritten(char *p)
{
    return p[0] == 'x' && p[4 * MB] == 'x' && in_data[0] == 'd'
           && in_bss[5] == 'b';
}

static void copied_on_write(void)
{
    char *p = touched(8 * MB), *heap = strdup("on the heap");
    int files = descriptors();

    end_rseq();
    memset(in_data + 4, 1, sizeof(in_data) - 4);
    memset(in_bss, 'b', sizeof(in_bss));
    freeze_all();
    SO(*why == '\0');
    SO(is_frozen(p) && is_frozen(p + 8 * MB - 1));
    SO(is_frozen(heap) && is_frozen(in_data) && is_frozen(in_bss));
    SO(!is_frozen(&files)); /* the stack */
    SO(descriptors() == files);
    SO(strcmp(heap, "on the heap") == 0);
    SO(is_unwritten(p));
    by_a_child(writes_its_own, p);
    by_a_child(is_unwritten, p);
    SO(is_unwritten(p));
    SO(area_of(p).anonymous == 0); /* nobody has copied it for us */
}

static void memory_is_copied_on_write(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(copied_on_write), 0);
}

static bool is_small(char *p)
{
    spawn_memory m;

    return p[5 * MB] == 'x' && spawn_os_memory(getpid(), &m) == 0
           && m.alone < 4 * MB && m.proportional < 16 * MB
           && m.frozen >= 32 * MB && m.resident >= 32 * MB
           && spawn_template_is_bigger(32 * MB)
           && !spawn_template_is_bigger(64 * MB);
}

static bool grows(char *p)
{
    size_t i;

    if (spawn_template_is_bigger(64 * MB))
        return false;
    for (i = 0; i < 32 * MB; i += 4096)
        p[i] = 'y'; /* a copy is no more than was there */
    if (spawn_template_is_bigger(64 * MB))
        return false;
    (void)touched(64 * MB);
    return spawn_template_is_bigger(64 * MB);
}

static void counted(void)
{
    char *p = touched(32 * MB);
    spawn_memory before, after;

    SO(spawn_os_memory(getpid(), &before) == 0);
    SO(before.frozen == 0);
    freeze_all();
    SO(*why == '\0');
    SO(spawn_template_frozen() >= 32 * MB);
    SO(spawn_template_frozen() <= before.resident);
    SO(spawn_os_memory(getpid(), &after) == 0);
    SO(after.frozen == spawn_template_frozen());
    SO(after.resident + 2 * MB > before.resident);
    SO(after.resident < before.resident + 2 * MB);
    by_a_child(is_small, p);
    by_a_child(grows, p);
}

static void frozen_memory_is_counted(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(counted), 0);
}

/* ---- a thread that has just ended ---- */

/* The kernel lets us join it before it is no longer among our threads. */
static void thread_lingers(void)
{
    char *p = touched(8 * MB);

    looks_too_many = 3;
    freeze_all();
    SO(*why == '\0' && looks_too_many == 0);
    SO(is_frozen(p));
}

static void a_thread_that_was_joined_does_not_matter(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(thread_lingers), 0);
}

/* ---- malloc goes on ---- */

static bool is_zero(const char *p, size_t size)
{
    size_t i;

    for (i = 0; i < size && p[i] == 0; i++)
        continue;
    return i == size;
}

static bool mallocs(char *big)
{
    char *blocks[200], *p;
    int round, i;

    for (round = 0; round < 3; round++) {
        for (i = 0; i < 200; i++) {
            blocks[i] = malloc(100000);
            memset(blocks[i], 0xee, 100000);
        }
        for (i = 0; i < 200; i++)
            free(blocks[i]);
        (void)malloc_trim(0);
        for (i = 0; i < 200; i++) {
            blocks[i] = calloc(1, 99000);
            if (!blocks[i] || !is_zero(blocks[i], 99000))
                return false;
        }
        for (i = 0; i < 200; i++)
            free(blocks[i]);
    }
    for (i = 9; i <= 64; i += 11) {
        big = realloc(big, (size_t)i * MB); /* by mremap */
        if (!big || big[0] != 'x' || big[8 * MB - 1] != 'x')
            return false;
        memset(big + 8 * MB, 'z', ((size_t)i - 8) * MB);
    }
    p = calloc(1, 70 * MB);
    if (!p || !is_zero(p, 70 * MB))
        return false;
    free(p);
    free(big);
    return true;
}

static void *mallocs_in_its_arena(void *arg)
{
    (void)arg;
    return malloc(50000);
}

static void malloc_goes_on_in(void)
{
    char *big = malloc(8 * MB), *blocks[200];
    pthread_t thread;
    int i;

    memset(big, 'x', 8 * MB);
    for (i = 0; i < 200; i++) {
        blocks[i] = malloc(100000);
        memset(blocks[i], 0xaa, 100000);
    }
    for (i = 0; i < 200; i += 2)
        free(blocks[i]);
    SO(pthread_create(&thread, NULL, mallocs_in_its_arena, NULL) == 0);
    SO(pthread_join(thread, NULL) == 0);
    while (!one_thread())
        continue; /* the kernel has it for a moment */
    freeze_all();
    SO(*why == '\0');
    SO(is_frozen(big));
    by_a_child(mallocs, big);
    by_a_child(mallocs, big);
    SO(mallocs(big)); /* and here */
}

static void malloc_goes_on(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(malloc_goes_on_in), 0);
}

/* ---- what is not moved ---- */

static void left_alone(void)
{
    char *shared = map(MB, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *usual = touched(8 * MB); /* most of it, or that is told */
    char *code = map(MB, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
    char *wiped = touched(MB), *secret = touched(MB), *own = touched(MB);
    char *locked = touched(65536), *closed = touched(MB);
    char *barely = map(64 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    memset(shared, 's', MB);
    memset(code, 'c', MB);
    barely[7] = 'b';
    SO(madvise(wiped, MB, MADV_WIPEONFORK) == 0);
    SO(madvise(secret, MB, MADV_DONTDUMP) == 0);
    SO(madvise(own, MB, MADV_DONTFORK) == 0);
    SO(mlock(locked, 65536) == 0);
    SO(mprotect(closed, MB, PROT_NONE) == 0);
    freeze_all();
    SO(*why == '\0');
    SO(!is_frozen(shared) && shared[9] == 's');
    SO(!is_frozen(code));
    SO(!is_frozen(wiped) && spawn_template_frozen());
    SO(!is_frozen(secret));
    SO(!is_frozen(own));
    SO(!is_frozen(locked));
    SO(!is_frozen(closed));
    SO(!is_frozen(barely) && barely[7] == 'b');
    SO(is_frozen(usual));
}

static void what_is_special_is_left_alone(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(left_alone), 0);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Has the kernel guard pages, and shows them in the pagemap? */
static bool can_guard(void)
{
    char *p = mmap(NULL, MB, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t state = 0;
    bool can = madvise(p, MB, MADV_GUARD_INSTALL) == 0
               && pread(fd, &state, sizeof(state),
                        (off_t)((uintptr_t)p / page * sizeof(state)))
                      == sizeof(state);

    (void)close(fd);
    (void)munmap(p, MB);
    return can && state >> 58 & 1;
}

/* Guard pages in memory that is used. */
static void guarded(void)
{
    char *p = touched(8 * MB), *guard = p + 5 * MB;
    int ends[2];

    SO(madvise(guard, 8192, MADV_GUARD_INSTALL) == 0);
    freeze_all();
    SO(*why == '\0');
    SO(is_frozen(p) && is_frozen(p + 8 * MB - 1));
    SO(p[5 * MB - 1] == 'x' && p[5 * MB + 8192] == 'x');
    SO(pipe(ends) == 0);
    SO(write(ends[1], guard, 1) < 0 && errno == EFAULT);
    SO(write(ends[1], guard + 8191, 1) < 0 && errno == EFAULT);
}

/* Where pages are not looked at, their area is left alone, if it tells of
 * guards. */
static void guarded_and_hidden(void)
{
    char *usual = touched(32 * MB), *other;
    char *p = map(8 * MB, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
    spawn_area a;

    memset(p, 'x', 8 * MB);
    SO(madvise(p + 5 * MB, 8192, MADV_GUARD_INSTALL) == 0);
    other = p + 6 * MB;
    SO(mprotect(p, 8 * MB, PROT_READ) == 0);
    a = area_of(p);
    hidden = true;
    freeze_all();
    SO(is_frozen(usual));
    SO(spawn_area_has(&a, "gu") ? *why == '\0' && !is_frozen(other)
                                : *why != '\0' && is_frozen(other));
    SO(*other == 'x');
}

static void guard_pages_stay(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    LEAVE_OUT_IF(!can_guard(), "no guard pages that can be seen (Linux 6.15)");
    assert_int_equal(end_of(guarded), 0);
    assert_int_equal(end_of(guarded_and_hidden), 0);
}

static void gaps(void)
{
    char *p = map(64 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    uint64_t least;

    memset(p, 'x', 2 * MB);
    memset(p + 60 * MB, 'y', 4 * MB);
    p[30 * MB] = 'm';
    freeze_all();
    SO(*why == '\0');
    least = spawn_template_frozen();
    SO(least < 32 * MB);
    SO(is_frozen(p) && is_frozen(p + 2 * MB - 1));
    SO(!is_frozen(p + 8 * MB) && p[8 * MB] == 0);
    SO(p[0] == 'x' && p[2 * MB - 1] == 'x' && p[30 * MB] == 'm');
    SO(is_frozen(p + 60 * MB) && p[60 * MB] == 'y' && p[64 * MB - 1] == 'y');
}

static void what_was_never_touched_takes_no_memory(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(gaps), 0);
}

/* ---- areas less ---- */

/* Pages of a file, each mapped for itself, as locales are. */
static char *small_files(size_t count, size_t size)
{
    char path[] = "/tmp/template_freeze-XXXXXX";
    char *p = map((count + 2) * size, PROT_NONE, MAP_PRIVATE);
    int fd = mkstemp(path);
    size_t i;

    SO(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)size) == 0);
    SO(pwrite(fd, "file", 4, 0) == 4);
    for (i = 1; i <= count; i++)
        SO(mmap(p + i * size, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0)
           == p + i * size);
    (void)close(fd);
    return p + size;
}

static void beside_each_other(void)
{
    char *three = small_files(3, 4096), *alone = small_files(1, 4096),
         *big = small_files(2, MB);
    spawn_area a;

    freeze_all();
    SO(*why == '\0');
    a = area_of(three);
    SO(is_frozen(three) && a.to - a.from == 3 * 4096);
    SO(strcmp(three, "file") == 0 && strcmp(three + 2 * 4096, "file") == 0);
    SO(!is_frozen(alone) && strcmp(alone, "file") == 0);
    SO(!is_frozen(big) && !is_frozen(big + MB));
    SO(strcmp(a.rights, "r--p") == 0);
}

static void small_areas_beside_each_other_are_one(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(beside_each_other), 0);
}

/* ---- signals ---- */

static void write_there(int signo)
{
    (void)signo;
    interrupt_at[100] = 'h';
}

/* One comes between a copy and its mapping, and its handler writes there. */
static void interrupted(void)
{
    struct sigaction action = {.sa_handler = write_there};
    char *p = touched(8 * MB);

    SO(sigaction(SIGUSR1, &action, NULL) == 0);
    interrupt_at = (char *)(uintptr_t)area_of(p).from;
    freeze_all();
    SO(*why == '\0');
    SO(is_frozen(p) && interrupt_at[100] == 'h');
}

static void signals_may_come(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(interrupted), 0);
}

/* ---- other ways ---- */

static bool can_collapse(void)
{
    size_t size = huge_size();
    char *p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = (char *)(((uintptr_t)p + size - 1) & ~(size - 1));
    bool can;

    memset(p, 1, 2 * size);
    can = madvise(at, size, MADV_COLLAPSE) == 0;
    (void)munmap(p, 2 * size);
    return can && size <= 4 * MB;
}

static void in_huge_pages(void)
{
    char *p = touched(16 * MB),
         *empty = map(16 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    spawn_template_settle_memory(SPAWN_MEMORY_HUGE, why, sizeof(why));
    SO(*why == '\0');
    SO(!is_frozen(p) && p[9] == 'x');
    SO(spawn_area_has(&(spawn_area){.flags = "rd hg "}, "hg"));
    {
        spawn_area a = area_of(p + 8 * MB);
        SO(spawn_area_has(&a, "hg"));
        a = area_of(empty);
        SO(!spawn_area_has(&a, "hg") || a.resident <= 16 * MB);
    }
}

/* The size of a huge page is the kernel's. */
static void of_another_size(void)
{
    char *p = touched(32 * MB);

    said_huge = "8388608\n";
    spawn_template_settle_memory(SPAWN_MEMORY_HUGE, why, sizeof(why));
    SO(advised == 8 * MB);
    SO(p[9] == 'x');
    said_huge = "0\n";
    spawn_template_settle_memory(SPAWN_MEMORY_HUGE, why, sizeof(why));
    SO(advised == 2 * MB);
}

static void as_it_is(void)
{
    char *p = touched(16 * MB);
    spawn_area a;

    spawn_template_settle_memory(SPAWN_MEMORY_SHARED, why, sizeof(why));
    a = area_of(p);
    SO(*why == '\0' && !is_frozen(p) && !spawn_area_has(&a, "hg"));
    SO(!spawn_template_is_bigger(1024 * MB) && spawn_template_is_bigger(MB));
}

static void there_are_other_ways(void **unused)
{
    (void)unused;
    assert_int_equal(end_of(as_it_is), 0);
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    LEAVE_OUT_IF(!can_collapse(),
                 "no MADV_COLLAPSE (Linux 6.1), or huge pages are large");
    assert_int_equal(end_of(in_huge_pages), 0);
    assert_int_equal(end_of(of_another_size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_copied_on_write),
        cmocka_unit_test(frozen_memory_is_counted),
        cmocka_unit_test(a_thread_that_was_joined_does_not_matter),
        cmocka_unit_test(malloc_goes_on),
        cmocka_unit_test(what_is_special_is_left_alone),
        cmocka_unit_test(guard_pages_stay),
        cmocka_unit_test(what_was_never_touched_takes_no_memory),
        cmocka_unit_test(small_areas_beside_each_other_are_one),
        cmocka_unit_test(signals_may_come),
        cmocka_unit_test(there_are_other_ways),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("template_freeze", tests, NULL, NULL);
}
