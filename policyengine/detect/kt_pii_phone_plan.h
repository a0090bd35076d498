/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/detect/kt_pii_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How sure a national writing is a phone number. */
enum kt_pii_phone_form {
    KT_PII_PHONE_NONE,
    KT_PII_PHONE_HINTED, /* written like one, and like other things: any word such as "contact" decides */
    KT_PII_PHONE_SURE    /* written as only phones are, unless a word says otherwise */
};

/* The first `groups` groups of n, `digits` digits, as a national number of some country. */
enum kt_pii_phone_form kt_pii_phone_national(const struct kt_pii_number *n, unsigned groups, unsigned digits);

/* Groups that make an international number whose country code starts behind `skip` digits; 0 = none. */
unsigned kt_pii_phone_international(const struct kt_pii_number *n, unsigned skip);

/* The same in one run: a mobile one of Europe, of a country whose numbers have one length. */
bool kt_pii_phone_mobile(const struct kt_pii_number *n, unsigned skip);

#ifdef __cplusplus
}
#endif
