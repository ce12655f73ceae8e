/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of the C API, under the names by which other modules find
 * them. Runs in httpd's parent when a configuration is read: their addresses
 * are those of this loading of mod_spawn.
 */
#include "module/api.h"

void spawn_api_register(void)
{
    APR_REGISTER_OPTIONAL_FN(spawn_job_make);
    APR_REGISTER_OPTIONAL_FN(spawn_job_program);
    APR_REGISTER_OPTIONAL_FN(spawn_job_function);
    APR_REGISTER_OPTIONAL_FN(spawn_job_option);
    APR_REGISTER_OPTIONAL_FN(spawn_job_pair);
    APR_REGISTER_OPTIONAL_FN(spawn_job_data);
    APR_REGISTER_OPTIONAL_FN(spawn_job_fd);
    APR_REGISTER_OPTIONAL_FN(spawn_job_id);
    APR_REGISTER_OPTIONAL_FN(spawn_job_submit);
    APR_REGISTER_OPTIONAL_FN(spawn_job_cleanup);
    APR_REGISTER_OPTIONAL_FN(spawn_job_wait);
    APR_REGISTER_OPTIONAL_FN(spawn_job_status);
    APR_REGISTER_OPTIONAL_FN(spawn_job_kill);
}
