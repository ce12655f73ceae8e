/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked behind the broker's objects: where their variables end.
 */
#include "t/simulation/body.h"

char body_data_ends[16] = {1};
char body_bss_ends[16];
