/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Options of pii-detector, and what they choose. */
#include "policyengine/detect/kt_pii.h"
#include "policyengine/policies/kt_marker.h"

#ifdef __cplusplus
extern "C" {
#endif

enum pii_action { PII_REDACT, PII_BLOCK };

struct pii_options {
    int action;
    bool pci_mode, healthcare_mode;
    struct kt_strings entities, detect_patterns;
    struct kt_string_map kinds;
    struct kt_marker_options redaction;
};

extern const struct kt_option pii_option_table[];

struct pii_instance {
    uint32_t kinds;         /* looked for */
    const char *custom[32]; /* by number of the kind; borrowed from the options */
};

kt_result pii_init(const void *opts, void **instance, struct kt_error *err) KT_MUST;
void pii_fini(void *instance);
void pii_advise(const void *opts, const struct kt_advice *a);
struct kt_marker pii_marker(const struct pii_instance *pii, const struct kt_pii_kind *kind);

#ifdef __cplusplus
}
#endif
