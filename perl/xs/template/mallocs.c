/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which mallocs a process has. Other mallocs than the C library's (GNU's) give
 * pages back by MADV_DONTNEED and take them for zeros when they use them again;
 * of a file's pages they would get the old bytes. GNU's clears what it gives to
 * calloc, but for what the kernel has just mapped.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "perl/xs/template/mallocs.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The memory of a sanitizer is terabytes of address space, and its own. */
bool spawn_template_is_sanitized(void)
{
    static const char *const marks[] = {"__asan_init", "__tsan_init",
                                        "__msan_init", "__hwasan_init"};
    size_t i;

    for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (dlsym(RTLD_DEFAULT, marks[i]))
            return true;
    }
    return false;
}

bool spawn_template_malloc_is_ours(const char **ret_name)
{
    Dl_info malloc_is, library;
    void *its = dlsym(RTLD_DEFAULT, "malloc");
    void *mark = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");

    *ret_name = "?";
    if (!its || !dladdr(its, &malloc_is))
        return false;
    *ret_name = name_in(malloc_is.dli_fname);
    return mark && dladdr(mark, &library)
           && malloc_is.dli_fbase == library.dli_fbase;
}

/* Functions of jemalloc, mimalloc, TCMalloc, rpmalloc and TBB's when they do
 * not stand in for malloc. Those that a library does not show are not seen. */
static const char *const inner[] = {
    "je_malloc", "_rjem_malloc", "rallocx",        "mi_malloc",
    "tc_malloc", "rpmalloc",     "scalable_malloc"};

/* The first of these in a library, or in one that it needs. */
static bool find_in(const char *path, const char **ret_library,
                    const char **ret_symbol)
{
    void *library = dlopen(*path ? path : NULL, RTLD_LAZY | RTLD_NOLOAD), *at;
    bool found = false;
    Dl_info info;
    size_t i;

    for (i = 0; library && !found && i < sizeof(inner) / sizeof(inner[0]);
         i++) {
        at = dlsym(library, inner[i]);
        if (at) {
            *ret_library = name_in(dladdr(at, &info) ? info.dli_fname : path);
            *ret_symbol = inner[i];
            found = true;
        }
    }
    if (library)
        (void)dlclose(library);
    return found;
}

/* Libraries that were loaded for themselves (RTLD_LOCAL), as perl loads all of
 * its own, show their symbols only when they are asked for by name. */
bool spawn_template_has_inner_malloc(const char **ret_library,
                                     const char **ret_symbol)
{
    void *program = dlopen(NULL, RTLD_LAZY);
    struct link_map *each = NULL;
    bool found = false;

    if (!program)
        return false;
    if (dlinfo(program, RTLD_DI_LINKMAP, &each) < 0)
        each = NULL;
    for (; each && !found; each = each->l_next)
        found = find_in(each->l_name, ret_library, ret_symbol);
    (void)dlclose(program);
    return found;
}
