/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the modes of safety-filter look for. The four industry modes are named by the public dialect; what
 * they hold is ours, since no page says it. */
#include "policyengine/detect/kt_pattern.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of the option's values. */
enum safety_mode {
    SAFETY_STANDARD,                /* general categories, certain signs only */
    SAFETY_STRICT,                  /* general categories, also the less certain signs */
    SAFETY_CRITICAL_INFRASTRUCTURE, /* strict + infrastructure: sabotage of grids, plants, water, control
                                       systems */
    SAFETY_AUTOMOTIVE,     /* strict + vehicles: brakes, airbags, immobilisers, odometers, emissions */
    SAFETY_EDUCATION,      /* strict + academic (cheating) + mature (pornography, alcohol, gambling) */
    SAFETY_LAW_ENFORCEMENT /* standard, for work that talks about crime, + policing (evidence, evasion) */
};

struct safety_mode_def {
    unsigned categories; /* 1 << KT_SAFE_x */
    unsigned weight;     /* percent; the threshold */
};

const struct safety_mode_def *safety_mode_get(int mode);
/* The category that `name` names ("self_harm", "Self-Harm"), KT_SAFE_CATEGORIES for none. */
unsigned safety_category_find(const char *name);

#ifdef __cplusplus
}
#endif
