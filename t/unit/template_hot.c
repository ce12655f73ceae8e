/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot pages: a fork gives a job just those pages that it will touch, and a job
 * copies those that it will write. Nothing that was written is lost, also when
 * nobody can say which pages these are.
 */
#include "t/unit/template_freezing.h"

static const char *no_file; /* that cannot be opened */
static bool no_vector;      /* this kernel takes a run at a time */

static int open_it(const char *path, int flags, unsigned mode)
{
    if (no_file && strcmp(path, no_file) == 0)
        return -EACCES;
    return spawn_raw_open(path, flags, mode);
}

static long call_it(long number, long a, long b, long c, long d, long e)
{
    if (no_vector && number == SYS_process_madvise)
        return -EBADF;
    return spawn_raw(number, a, b, c, d, e);
}

/* freeze.c has these, too */
#undef AREAS
#define area           hot_area
#define look           look_for_hot
#define add            add_hot
#define spawn_raw_open open_it
#define spawn_raw      call_it
#include "perl/xs/template/hot.c"
#undef area
#undef look
#undef add
#undef spawn_raw_open
#undef spawn_raw

#define AT(i) ((size_t)4096 * (i))

/* Pages of frozen memory, and of a file that is code. */
enum {
    READ = 100,
    WRITTEN = 200,
    KEPT = 300,
    OURS = 400,
    IN_CODE = 50
};

static char *memory, *code;

/* ---- what a job does ---- */

static void touch(void)
{
    volatile char *p = memory;

    (void)p[AT(READ)];
    (void)p[AT(KEPT)];
    p[AT(WRITTEN)] = 'w';
    (void)((volatile char *)code)[AT(IN_CODE)];
}

static bool in_a_job(void *body)
{
    pid_t pid;
    int status;

    pid = fork();
    if (pid == 0) {
        ((void (*)(void))(uintptr_t)body)();
        spawn_hot_note();
        _exit(0);
    }
    (void)((volatile char *)memory)[AT(OURS)]; /* as a template does */
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool hangs(void *unused)
{
    (void)unused;
    return false;
}

static bool comes_late(void *body)
{
    (void)in_a_job(body);
    return false;
}

static bool says_nothing(void *unused)
{
    (void)unused;
    return true;
}

static void keep(void)
{
    spawn_hot_keep(in_a_job, (void *)(uintptr_t)touch);
}

/* ---- what is there ---- */

static uint64_t state_of(const char *page)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t state = 0;

    SO(pread(pagemap, &state, sizeof(state),
             (off_t)((uintptr_t)page / 4096 * sizeof(state)))
       == sizeof(state));
    (void)close(pagemap);
    return state;
}

static bool is_there(const char *page)
{
    return state_of(page) & PRESENT;
}

static bool is_own(const char *page)
{
    uint64_t state = state_of(page);

    return state & PRESENT && state & ALONE && !(state & OF_FILE);
}

static bool count_one(const spawn_area *a, void *arg)
{
    (void)a;
    (*(size_t *)arg)++;
    return true;
}

static size_t areas(void)
{
    size_t count = 0;

    SO(spawn_areas(0, count_one, &count) == 0);
    return count;
}

static char *map_code(void)
{
    char path[] = "/tmp/template_hot-XXXXXX", bytes[4096];
    int fd = mkstemp(path), i;
    char *p;

    SO(fd >= 0 && unlink(path) == 0);
    for (i = 0; i < 256; i++) {
        memset(bytes, i, sizeof(bytes));
        SO(write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
    }
    p = mmap(NULL, AT(256), PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    SO(p != MAP_FAILED);
    (void)close(fd);
    return p;
}

static void prepare(void)
{
    end_rseq();
    memory = touched(8 * MB);
    code = map_code();
    freeze_all();
    SO(*why == '\0' && is_frozen(memory));
    memory[AT(KEPT)] = 'k';                    /* since it is frozen */
    (void)((volatile char *)memory)[AT(READ)]; /* maps what lies around */
}

static void all_is_as_it_was(void)
{
    size_t i;

    for (i = 0; i < 8 * MB / 4096; i++)
        SO(memory[AT(i)] == (i == KEPT ? 'k' : 'x'));
    for (i = 0; i < 256; i++)
        SO((unsigned char)code[AT(i)] == i);
}

/* Does this process's child, which ends with 0. */
static void by_a_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();

    SO(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    SO(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- just those pages ---- */

static void has_the_pages(void)
{
    SO(is_there(memory + AT(READ)) && is_there(memory + AT(WRITTEN))
       && is_there(memory + AT(OURS)) && is_there(code + AT(IN_CODE)));
    SO(!is_there(memory + AT(OURS - 1)) && !is_there(memory + AT(OURS + 1)));
    SO(!is_there(memory + AT(READ - 1)) && !is_there(memory + AT(READ + 1))
       && !is_there(memory + AT(WRITTEN + 1))
       && !is_there(code + AT(IN_CODE - 1))
       && !is_there(code + AT(IN_CODE + 1)));
    SO(!is_own(memory + AT(WRITTEN)));
    SO(spawn_hot_copy());
    SO(is_own(memory + AT(WRITTEN)) && !is_own(memory + AT(READ))
       && !is_own(memory + AT(KEPT)));
    SO(memory[AT(WRITTEN)] == 'x');
    touch();
}

static void kept(void)
{
    size_t before;

    prepare();
    before = areas();
    keep();
    (void)((volatile char *)code)[AT(IN_CODE + 1)];
    (void)((volatile char *)memory)[AT(READ - 1)];
    spawn_hot_tidy();
    SO(areas() == before);
    by_a_child(has_the_pages);
    by_a_child(all_is_as_it_was);
    all_is_as_it_was();
}

static void a_job_has_the_pages_that_it_touches(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(kept), 0);
    no_vector = true;
    assert_int_equal(end_of(kept), 0);
    no_vector = false;
}

/* ---- when it cannot be known ---- */

static void not_known(void)
{
    size_t before;

    prepare();
    before = areas();
    spawn_hot_keep(hangs, NULL);
    spawn_hot_tidy();
    spawn_hot_keep(comes_late, (void *)(uintptr_t)touch);
    spawn_hot_tidy();
    spawn_hot_keep(says_nothing, NULL);
    spawn_hot_tidy();
    SO(!spawn_hot_copy() && areas() == before);
    by_a_child(all_is_as_it_was);
    all_is_as_it_was();
}

static unsigned probes;

static bool only_once(void *body)
{
    return ++probes == 1 && in_a_job(body);
}

static void not_known_for_sure(void)
{
    size_t before;

    prepare();
    before = areas();
    spawn_hot_keep(only_once, (void *)(uintptr_t)touch);
    spawn_hot_tidy();
    SO(probes == 2 && !spawn_hot_copy() && areas() == before);
    by_a_child(all_is_as_it_was);
    all_is_as_it_was();
}

static void not_to_be_seen(void)
{
    prepare();
    keep();
    SO(!spawn_hot_copy());
    all_is_as_it_was();
}

static void has_no_code(void)
{
    SO(is_there(memory + AT(READ)) && !is_there(code + AT(IN_CODE)));
    SO(spawn_hot_copy() && is_own(memory + AT(WRITTEN)));
}

static void not_to_be_written(void)
{
    prepare();
    keep();
    by_a_child(has_no_code);
    all_is_as_it_was();
}

static void what_is_not_known_changes_nothing(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(not_known), 0);
    assert_int_equal(end_of(not_known_for_sure), 0);
    no_file = "/proc/self/pagemap";
    assert_int_equal(end_of(not_to_be_seen), 0);
    no_file = "/proc/self/mem";
    assert_int_equal(end_of(not_to_be_written), 0);
    no_file = NULL;
}

/* ---- what is not to be touched ---- */

static void with_marks(void)
{
    char *read_ahead;
    spawn_area a;

    prepare();
    read_ahead = map_code();
    SO(madvise(read_ahead, AT(256), MADV_SEQUENTIAL) == 0);
    code = read_ahead;
    keep();
    a = area_of(read_ahead + AT(IN_CODE));
    SO(spawn_area_has(&a, "sr") && a.from == (uintptr_t)read_ahead
       && a.to == (uintptr_t)read_ahead + AT(256));
    all_is_as_it_was();
}

static void marks_of_others_stay(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(with_marks), 0);
}

/* It would take seconds to look at each page of it. */
static void with_reserved_memory(void)
{
    const size_t size = (size_t)1 << 36;
    char *reserved;
    size_t i;

    prepare();
    reserved = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SO(reserved != MAP_FAILED);
    reserved[AT(1)] = 'x';
    keep();
    for (i = 0; i < n->count; i++)
        SO(n->areas[i].to - n->areas[i].from < size);
    SO(spawn_hot_copy());
}

static void memory_that_is_only_reserved_is_not_looked_at(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(with_reserved_memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_has_the_pages_that_it_touches),
        cmocka_unit_test(what_is_not_known_changes_nothing),
        cmocka_unit_test(marks_of_others_stay),
        cmocka_unit_test(memory_that_is_only_reserved_is_not_looked_at),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("template_hot", tests, NULL, NULL);
}
