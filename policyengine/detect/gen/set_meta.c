/* SPDX-License-Identifier: Apache-2.0 */
#define KT_SET_FILE "policyengine/detect/patterns/meta.def"
#define KT_SET_NAME "meta"
#define KT_SET_SYMBOL kt_patc_meta
#define KT_SET_FAMILY(name) KT_INJ_##name
#include "policyengine/detect/gen/tables.h"
