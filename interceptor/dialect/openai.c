/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect that programs speak is OpenAI's own: nothing to translate. */
#include "interceptor/dialect/kt_dialect.h"

const struct kt_provider kt_provider_openai = {
    .name = "openai",
    .base_url = "https://api.openai.com/v1",
    .key_env = "OPENAI_API_KEY",
    .help = "OpenAI's own API; requests go as they came",
};
