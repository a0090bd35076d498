/* SPDX-License-Identifier: Apache-2.0 */
#define KT_SET_FILE "policyengine/detect/patterns/injection.def"
#define KT_SET_NAME "injection"
#define KT_SET_SYMBOL kt_patc_injection
#define KT_SET_FAMILY(name) KT_INJ_##name
#include "policyengine/detect/gen/tables.h"
