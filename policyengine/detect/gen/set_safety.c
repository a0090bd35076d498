/* SPDX-License-Identifier: Apache-2.0 */
#define KT_SET_FILE "policyengine/detect/patterns/safety.def"
#define KT_SET_NAME "safety"
#define KT_SET_SYMBOL kt_patc_safety
#define KT_SET_FAMILY(name) KT_SAFE_##name
#include "policyengine/detect/gen/tables.h"
