/* SPDX-License-Identifier: Apache-2.0 */
/* The pattern tables of one set as data: compiled once per set with KT_SET_FILE, KT_SET_NAME and
 * KT_SET_FAMILY(name). */
#include "policyengine/detect/gen/kt_patc.h"
#include "policyengine/detect/kt_pattern.h"

enum concept_id {
#define KT_CONCEPT(name, words) CONCEPT_##name,
#define KT_PHRASE(family, weight, regex)
#define KT_RULE(family, weight, gap, ...)
#define KT_NEXT(family, weight, gap, ...)
#include KT_SET_FILE
#undef KT_CONCEPT
    CONCEPT_COUNT /* a set may have none */
};

static const struct kt_patc_concept concepts[] = {
#define KT_CONCEPT(name, words) {#name, words},
#include KT_SET_FILE
#undef KT_CONCEPT
};

#undef KT_PHRASE
static const struct kt_patc_phrase phrases[] = {
#define KT_CONCEPT(name, words)
#define KT_PHRASE(family, weight, regex) {KT_SET_FAMILY(family), weight, regex},
#include KT_SET_FILE
#undef KT_PHRASE
};

#undef KT_RULE
#undef KT_NEXT
static const struct kt_patc_rule rules[] = {
#define KT_PHRASE(family, weight, regex)
#define KT_RULE(family, weight, gap, ...) {KT_SET_FAMILY(family), weight, gap, 0, {__VA_ARGS__}},
#define KT_NEXT(family, weight, gap, ...) {KT_SET_FAMILY(family), weight, gap, 1, {__VA_ARGS__}},
#define C(name) ((kt_concept_set)1 << CONCEPT_##name)
#include KT_SET_FILE
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern const struct kt_patc_set KT_SET_SYMBOL;
const struct kt_patc_set KT_SET_SYMBOL = {
    KT_SET_NAME, concepts, COUNT(concepts), phrases, COUNT(phrases), rules, COUNT(rules),
};
