/* SPDX-License-Identifier: Apache-2.0 */
/* What the config fills in for a provider's name must be what the provider's own file says. */
#include "interceptor/dialect/kt_dialect.h"
#include "tests/unit/config_fixture.h"

namespace {

TEST(ProviderDefaults, AreThoseOfTheDialects)
{
    size_t count = 0;
    const kt_provider *const *all = kt_providers(&count);
    ASSERT_GT(count, 0u);
    for (size_t i = 0; i < count; i++) {
        const kt_provider *p = all[i];
        std::string url = p->base_url ? "" : ", base_url: 'https://x.org'";
        kt::Loaded l(kt::base + "providers: {targets: [{id: a, provider: " + p->name + ", model: m" + url +
                     "}]}\n");
        ASSERT_EQ(l.code, KT_OK) << p->name << "\n" << l.line();
        const kt_target &t = l->providers.targets[0];
        EXPECT_STREQ(t.base_url, p->base_url ? p->base_url : "https://x.org") << p->name;
        EXPECT_STREQ(t.secret_key_ref.env, p->key_env) << p->name;
    }
}

} // namespace
