/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/detect/kt_secret_rule.h"

/* Words of patterns/secret_names.def. */
unsigned kt_secret_name_count(void);
const char *kt_secret_name_word(unsigned i);
