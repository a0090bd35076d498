/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that somebody made up by going along the alphabet: what looks like a key of a vendor counts as one.
 * What says of itself that it is an example does not. */
#include "configured_policy.hpp"

#include <gtest/gtest.h>

using policy_test::Configured;

namespace {

const std::string az = "abcdefghijklmnopqrstuvwxyz", digits = "0123456789", AZ = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

} // namespace

TEST(SecretInvented, FullFormsCountWhateverTheirLettersAre)
{
    Configured c("dlp-filter", "{}");
    const std::pair<const char *, std::string> keys[] = {
        {"gh", "p_" + az + digits},
        {"gh", "p_1234567890" + az},
        {"AK", "IA1234567890ABCDEF"},
        {"AK", "IAABCDEFGHIJKLMNOP"},
        {"AK", "IAINTERNATIONALSEC"},
        {"sk", "-proj-" + az + digits + "ABCD"},
        {"gl", "pat-abcdefghij1234567890"},
        {"np", "m_" + az + digits},
        {"xo", "xb-123456789012-123456789012-abcdefghijklmnopqrstuvwx"},
        {"hf", "_" + az + "ABCDEFGH"},
        {"SG", ".abcdefghijklmnopqrstuv." + az + digits + "ABCDEFG"},
        {"sk", "_live_abcdefghijklmnopqrstuvwx"},
    };
    for (auto &k : keys)
        EXPECT_EQ(c->whole("use " + (k.first + k.second) + " now").text, "use [SECRET_1] now") << k.second;
    EXPECT_EQ(c->whole("secret: 1234567890abcdef").text, "secret: [SECRET_1]");
}

TEST(SecretInvented, ExamplesAreNone)
{
    Configured c("dlp-filter", "{}");
    const std::pair<const char *, std::string> keys[] = {
        {"AK", "IAIOSFODNN7EXAMPLE"},
        {"AK", "IAXXXXXXXXXXXXXXXX"},
        {"AK", "IA" + std::string(16, 'A')},
        {"gh", "p_" + std::string(36, 'x')},
        {"gh", "p_" + std::string(36, '0')},
        {"gh", "p_123412341234123412341234123412341234"},
        {"gh", "p_your_token_goes_here_please_now_ok"},
        {"sk", "-your-api-key-here"},
        {"gl", "pat-xxxxxxxxxxxxxxxxxxxx"},
        {"sk", "_live_${STRIPE_KEY_OF_MINE}"},
    };
    for (auto &k : keys)
        EXPECT_EQ(c->whole("use " + (k.first + k.second) + " now").verdict, KT_VERDICT_ALLOW) << k.second;
    for (const char *text :
         {"the alphabet: abcdefghijklmnopqrstuvwxyz0123456789", "token: \"1234567890\"", "token: 0123456789"})
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_ALLOW) << text;
}
