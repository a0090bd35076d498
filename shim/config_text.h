/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the shim looks for in a policy config, as text: it reads no YAML. */
#include <stdbool.h>

/* May a file of KT_POLICY_CONFIG intercept a host of this machine (localhost, 127.0.0.1, ::1)? It may where
 * such a name stands anywhere in it. Looked up once; keeps errno. */
bool kt_config_names_local(void);
