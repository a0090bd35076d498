/* SPDX-License-Identifier: Apache-2.0 */
/* policy-config.yaml from any bytes: no crash, no leak, and the result agrees with the complaints. */
#include "policyengine/config/kt_config.h"
#include "tests/fuzz/kt_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_diags diags = {0};
    struct kt_config *config = NULL;
    kt_result r = kt_config_parse("fuzz.yaml", (const char *)data, size, &config, &diags);
    KT_HOLDS((config != NULL) == kt_is_ok(r));
    KT_HOLDS(kt_is_ok(r) == (kt_diags_errors(&diags) == 0));
    for (size_t i = 0; i < diags.count; i++) {
        struct kt_buf line = KT_BUF_INIT(1 << 20);
        KT_HOLDS(kt_is_ok(kt_diag_format(&diags.items[i], &line)));
        KT_HOLDS(line.len > 0);
        for (size_t k = 0; k < line.len; k++)
            KT_HOLDS((unsigned char)line.data[k] >= 0x20);
        kt_buf_free(&line);
    }
    for (size_t i = 0; config && i < config->providers.target_count; i++) {
        const struct kt_target *t = &config->providers.targets[i];
        KT_HOLDS(t->id && t->provider && t->model && t->base_url && t->stream_timeout_seconds > 0);
    }
    kt_config_free(config);
    kt_diags_free(&diags);
    return 0;
}
