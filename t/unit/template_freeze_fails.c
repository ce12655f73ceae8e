/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of a template that cannot be frozen stays as it is and is told of; a
 * step that fails halfway loses nothing. Nobody can write frozen memory.
 */
#include "t/unit/template_freezing.h"

/* ---- what cannot be done ---- */

static void stays_as_it_is(void)
{
    char *p = touched(8 * MB);

    freeze_all();
    SO(*why != '\0');
    SO(!is_frozen(p) && spawn_template_frozen() == 0);
    SO(p[0] == 'x' && p[8 * MB - 1] == 'x');
}

static void no_memfd(void)
{
    memfd_error = -ENOSYS;
    stays_as_it_is();
    SO(strncmp(why, "memfd_create: Function not implemented; it has huge", 51)
       == 0);
}

static void small_files(void)
{
    struct rlimit limit = {4096, 4096};
    struct sigaction now;
    sigset_t mask;

    SO(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    stays_as_it_is();
    SO(strncmp(why, "ftruncate of a memfd: File too large", 36) == 0);
    SO(sigaction(SIGXFSZ, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    SO(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    SO(!sigismember(&mask, SIGTERM));
}

static void another_malloc(void)
{
    other_symbol = "malloc";
    stays_as_it_is();
    SO(strstr(why,
              "its malloc is not the C library's (template_freeze_fails.t)"));
}

/* One that only this library uses, and that is no symbol of the process. */
static void another_malloc_in_a_library(void)
{
    const char *build = getenv("SPAWN_BUILD");
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/t/inner_malloc.so",
                   build ? build : "build");
    SO(dlopen(path, RTLD_NOW | RTLD_LOCAL));
    stays_as_it_is();
    SO(strcmp(why,
              "inner_malloc.so has a malloc of its own (je_malloc); it has "
              "huge pages where that can be")
       == 0);
}

/* A mark of all or most memory: mlockall, say. */
static void marked(void)
{
    char *p = touched(32 * MB);

    SO(madvise(p, 32 * MB, MADV_DONTDUMP) == 0);
    freeze_all();
    SO(!is_frozen(p));
    SO(strstr(why,
              "kB of its memory are left as they are, for a mark that they "
              "have in smaps (dd)"));
    SO(atol(why) >= 32 * 1024 && atol(why) < 40 * 1024);
    SO(madvise(p, 32 * MB, MADV_DODUMP) == 0);
    SO(madvise(p, 2 * MB, MADV_DONTDUMP) == 0); /* a part is no matter */
    freeze_all();
    SO(*why == '\0' && is_frozen(p + 16 * MB));
}

static void sanitizer(void)
{
    other_symbol = "__asan_init";
    stays_as_it_is();
    SO(strcmp(why, "it runs with a sanitizer") == 0);
}

static void *waits(void *arg)
{
    (void)arg;
    (void)pause();
    return NULL;
}

static void threads(void)
{
    pthread_t thread;

    SO(pthread_create(&thread, NULL, waits, NULL) == 0);
    stays_as_it_is();
    SO(strcmp(why, "it has several threads") == 0);
}

static void what_cannot_be_frozen_stays_and_is_told(void **unused)
{
    (void)unused;
    assert_int_equal(end_of(sanitizer), 0);
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(no_memfd), 0);
    assert_int_equal(end_of(small_files), 0);
    assert_int_equal(end_of(another_malloc), 0);
    assert_int_equal(end_of(another_malloc_in_a_library), 0);
    assert_int_equal(end_of(marked), 0);
    assert_int_equal(end_of(threads), 0);
}

static bool has_bytes(const char *p)
{
    size_t i;

    for (i = 0; i < 32 * MB && p[i] == 'x'; i++)
        continue;
    return i == 32 * MB;
}

/* In the middle of an area. */
static void no_more_room(void)
{
    char *p = touched(32 * MB);

    write_error_after = (long)(12 * MB);
    freeze_all();
    write_error_after = 0;
    SO(strstr(why, "kB of its memory are not frozen: No space left on device"));
    SO(spawn_template_frozen() >= 8 * MB && spawn_template_frozen() < 16 * MB);
    SO(has_bytes(p));
    memset(p, 'y', 32 * MB);
}

static void no_mapping(void)
{
    char *p = touched(32 * MB);

    map_errors = 3;
    errors_at = p;
    errors_size = 32 * MB;
    freeze_all();
    SO(strstr(why, "kB of its memory are not frozen: Cannot allocate memory"));
    SO(spawn_template_frozen() > 0);
    SO(has_bytes(p));
}

/* The kernel took what was there and then had no memory. */
static void no_mapping_for_a_moment(void)
{
    char *p = touched(32 * MB);

    map_errors = 3;
    errors_at = p;
    errors_size = 32 * MB;
    holes = true;
    freeze_all();
    SO(*why == '\0');
    SO(has_bytes(p) && is_frozen(p));
}

/* Where errno lies, and what else the C library writes to. */
static void no_mapping_of_errno(void)
{
    end_rseq();
    map_errors = 3;
    errors_at = (char *)&errno;
    errors_size = sizeof(errno);
    holes = true;
    freeze_all();
    SO(map_errors == 0 && *why == '\0');
    SO(is_frozen(&errno));
}

static void no_mapping_any_more(void)
{
    char *p = touched(32 * MB);

    map_errors = 1 << 30;
    errors_at = p;
    errors_size = 32 * MB;
    holes = true;
    freeze_all();
    SO(has_bytes(p));
}

static void what_fails_halfway_loses_nothing(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(no_more_room), 0);
    assert_int_equal(end_of(no_mapping), 0);
    assert_int_equal(end_of(no_mapping_for_a_moment), 0);
    assert_int_equal(end_of(no_mapping_of_errno), 0);
    assert_int_equal(end_of(no_mapping_any_more), 1 << 8);
}

/* ---- nobody can write the file ---- */

static void is_sealed_with(int seal)
{
    const int not_executable = 0x20; /* F_SEAL_EXEC, since Linux 6.3 */
    char *p = touched(8 * MB);

    freeze_all();
    SO(*why == '\0' && is_frozen(p));
    SO((file_seals & ~not_executable)
       == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | seal));
    memset(p, 'y', 8 * MB);
}

static void sealed(void)
{
    is_sealed_with(F_SEAL_FUTURE_WRITE);
}

static void sealed_by_an_old_kernel(void)
{
    unknown_seals = F_SEAL_FUTURE_WRITE;
    is_sealed_with(F_SEAL_WRITE);
}

static void the_file_is_sealed(void **unused)
{
    (void)unused;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer's memory is not moved");
    assert_int_equal(end_of(sealed), 0);
    assert_int_equal(end_of(sealed_by_an_old_kernel), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_frozen_stays_and_is_told),
        cmocka_unit_test(what_fails_halfway_loses_nothing),
        cmocka_unit_test(the_file_is_sealed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("template_freeze_fails", tests, NULL,
                                       NULL);
}
