/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/safety_modes.h"

#include "policyengine/detect/kt_safety.h"

#define BIT(category) (1u << KT_SAFE_##category)
#define GENERAL (BIT(GENERAL) - 1)

const struct safety_mode_def *safety_mode_get(int mode)
{
    static const struct safety_mode_def defs[] = {
        [SAFETY_STANDARD] = {GENERAL, 80},
        [SAFETY_STRICT] = {GENERAL, 60},
        [SAFETY_CRITICAL_INFRASTRUCTURE] = {GENERAL | BIT(INFRASTRUCTURE), 60},
        [SAFETY_AUTOMOTIVE] = {GENERAL | BIT(VEHICLES), 60},
        [SAFETY_EDUCATION] = {GENERAL | BIT(ACADEMIC) | BIT(MATURE), 60},
        [SAFETY_LAW_ENFORCEMENT] = {GENERAL | BIT(POLICING), 80},
    };
    return &defs[mode];
}

static char plain(char c)
{
    return c == '-' || c == ' ' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same(const char *a, const char *b)
{
    while (*a && *b && plain(*a) == *b) {
        a++;
        b++;
    }
    return !*a && !*b;
}

unsigned safety_category_find(const char *name)
{
    unsigned c = 0;
    while (c < KT_SAFE_CATEGORIES && !same(name, kt_safety_category_name(c)))
        c++;
    return c;
}
