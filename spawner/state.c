/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's state. Runs in the spawner only. Nothing else stands here: the
 * table, which spawner.h knows, has its part in it.
 */
#include "spawner/state.h"

spawner_state spawner;
