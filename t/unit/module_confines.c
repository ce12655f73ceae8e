/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside a module that gives requests accounts of their own httpd says which
 * account jobs have: by its name, or by its number where it has none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "module/account.c"
#include "module/confines.c"

#include "apr_general.h"

unixd_config_rec ap_unixd_config;
module AP_MODULE_DECLARE_DATA spawn_module;

static module itk;
static char line[400];
static apr_pool_t *pool;

module *ap_find_linked_module(const char *name)
{
    return strcmp(name, "mpm_itk.c") == 0 ? &itk : NULL;
}

void ap_log_error_(const char *file, int number, int index, int level,
                   apr_status_t status, const server_rec *s, const char *fmt,
                   ...)
{
    va_list ap;

    (void)file;
    (void)number;
    (void)index;
    (void)level;
    (void)status;
    (void)s;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
}

static void is_told(const spawn_account *account, const char *who)
{
    static server_rec server;

    spawn_confines_tell(pool, &server, account);
    assert_non_null(strstr(line, "mpm_itk is loaded"));
    assert_non_null(strstr(line, who));
}

static void an_account_is_told_by_its_name(void **state)
{
    (void)state;
    is_told(&(spawn_account){.uid = 33, .user = "www-data"},
            "jobs run as www-data, or as");
}

static void one_without_a_name_by_its_number(void **state)
{
    (void)state;
    is_told(&(spawn_account){.uid = 61007, .user = ""},
            "jobs run as uid 61007, or as");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_told_by_its_name),
        cmocka_unit_test(one_without_a_name_by_its_number)};
    int failed;

    (void)apr_initialize();
    (void)apr_pool_create(&pool, NULL);
    failed = cmocka_run_group_tests_name("module_confines", tests, NULL, NULL);
    apr_terminate();
    return failed;
}
