/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CONFIGURE told, and whom it makes a process of httpd's.
 */
#include "broker/base/conf.h"

#include <unistd.h>

spawn_config spawn_conf;

bool spawn_conf_is_httpds(uid_t uid)
{
    return uid == 0 || uid == geteuid() || uid == spawn_conf.job_uid
           || spawn_conf.any_account;
}
