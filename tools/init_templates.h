/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The configs of configs/, built in. The first is "default". */
#include <stddef.h>

struct kt_template {
    const char *name, *text;
    size_t len;
};
extern const struct kt_template kt_templates[];
extern const size_t kt_template_count;
