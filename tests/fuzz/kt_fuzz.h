/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the fuzz targets share. */
#include "policyengine/base/kt_base.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold; independent of NDEBUG. */
#define KT_HOLDS(cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)
