/* SPDX-License-Identifier: Apache-2.0 */
/* What stands where a value was: formats, texts of the user's own, and options that contradict each other. */
#include "policy_fixture.hpp"

#include <gtest/gtest.h>

using policy_test::Policy;
using policy_test::Yaml;

namespace {

std::string redacted(const std::string &options, const std::string &text,
                     enum kt_origin_class from = KT_FROM_USER)
{
    Policy pii(Yaml{options}, "pii-detector");
    EXPECT_EQ(pii.error, "");
    return pii.error.empty() ? pii.whole(text, from).text : "";
}

std::string refused(const std::string &options)
{
    return Policy(Yaml{options}, "pii-detector").error;
}

const std::string sample = "jane.roe@example.org 4111-1111-1111-1111 10.0.0.1 joe@example.org";

} // namespace

TEST(Marker, Labels)
{
    EXPECT_EQ(redacted("{}", sample), "[EMAIL_1] [CARD_1] [IP_1] [EMAIL_2]");
    EXPECT_EQ(redacted("{redaction: {include_metadata: false}}", sample),
              "[REDACTED_1] [REDACTED_2] [REDACTED_3] [REDACTED_4]")
        << "different values never share a label";
    EXPECT_EQ(redacted("{redaction: {restore: true}}", "a@b.com a@b.com"), "[EMAIL_1] [EMAIL_1]");
}

TEST(Marker, Asterisks)
{
    EXPECT_EQ(redacted("{redaction: {marker_format: asterisks}}", sample),
              "******** ******** ******** ********");
    EXPECT_EQ(redacted("{redaction: {marker_format: asterisks, preserve_length: true}}", sample),
              "******************** ******************* ******** ***************");
    EXPECT_EQ(redacted("{redaction: {marker_format: asterisks, preserve_length: true}}",
                       "<j\xc3\xb6rg@example.org>"),
              "<****************>")
        << "characters, not bytes";
}

TEST(Marker, Partial)
{
    EXPECT_EQ(redacted("{redaction: {marker_format: partial}}", sample),
              "j***@example.org ****1111 ******** j***@example.org");
    EXPECT_EQ(redacted("{redaction: {marker_format: partial, preserve_length: true}}", sample),
              "j*******@example.org ****-****-****-1111 **.*.*.* j**@example.org");
    EXPECT_EQ(redacted("{redaction: {marker_format: partial}}", "a@b.com, ssn 536-22-8761"),
              "***@b.com, ssn ****61")
        << "one letter is the whole name";
    EXPECT_EQ(redacted("{redaction: {marker_format: partial}}", "\xc3\xb6rg@example.org"),
              "\xc3\xb6***@example.org");
    EXPECT_EQ(redacted("{redaction: {marker_format: partial}}", "DOB 12/03/1981"), "DOB ********");
}

TEST(Marker, Custom)
{
    EXPECT_EQ(redacted("{redaction: {custom_markers: {EMAIL: '<mail>', credit_card: ''}}}", sample),
              "<mail>  [IP_1] <mail>");
    EXPECT_EQ(redacted("{redaction: {custom_markers: {card: 'a \"b\"'}}}", "{\"n\":4111111111111111}",
                       KT_FROM_TOOL_CALL),
              "{\"n\":\"a \\\"b\\\"\"}")
        << "what stands in JSON source stays JSON";
    EXPECT_NE(refused("{redaction: {custom_markers: {MAILS: x}}}").find("unknown kind \"MAILS\""),
              std::string::npos);
}

TEST(Marker, EscapedValuesAreTheSameValues)
{
    EXPECT_EQ(redacted("{}", R"({"a":"jane\u0040example.org","b":"jane@example.org"})", KT_FROM_TOOL_CALL),
              R"({"a":"[EMAIL_1]","b":"[EMAIL_1]"})");
    EXPECT_EQ(redacted("{redaction: {marker_format: partial}}", R"({"a":"j\u0061ne\u0040ex\u00e4mple.org"})",
                       KT_FROM_TOOL_CALL),
              "{\"a\":\"j***@ex\xc3\xa4mple.org\"}");
    EXPECT_EQ(
        redacted("{redaction: {marker_format: asterisks}}", R"({"a": 4111111111111111 })", KT_FROM_TOOL_CALL),
        R"({"a": "********" })");
    EXPECT_EQ(redacted("{}", R"({"a":"\"jane@example.org\" x\/y"})", KT_FROM_TOOL_CALL),
              R"({"a":"\"[EMAIL_1]\" x\/y"})");
}

/* A number goes as a whole, and what stands for it is named by all of it: else its sign would not come back. */
TEST(Marker, ANumberOfACallsArgumentsIsNamedAsAWhole)
{
    const std::string options = "{redaction: {restore: true}}";
    const struct {
        const char *text, *want;
    } rows[] = {
        {R"({"a":4111111111111111,"b":-4111111111111111})", R"({"a":"[CARD_1]","b":"[CARD_2]"})"},
        {R"({"a":-4111111111111111,"b":4111111111111111})", R"({"a":"[CARD_1]","b":"[CARD_2]"})"},
        {R"({"a":-4111111111111111,"b":[-4111111111111111,4111111111111111]})",
         R"({"a":"[CARD_1]","b":["[CARD_1]","[CARD_2]"]})"},
        {R"([4111111111111111,"4111111111111111"])", R"(["[CARD_1]","[CARD_1]"])"},
        {R"({"n":"{\"a\":-4111111111111111,\"b\":4111111111111111}"})",
         R"({"n":"{\"a\":\"[CARD_1]\",\"b\":\"[CARD_2]\"}"})"},
    };
    for (const auto &row : rows)
        EXPECT_EQ(redacted(options, row.text, KT_FROM_TOOL_CALL), row.want);
}

TEST(Marker, Contradictions)
{
    for (const char *format : {"asterisks", "partial"})
        EXPECT_NE(refused("{redaction: {restore: true, marker_format: " + std::string(format) + "}}")
                      .find("restore needs marker_format label"),
                  std::string::npos);
    EXPECT_NE(
        refused("{redaction: {restore: true, custom_markers: {EMAIL: x}}}").find("custom_markers.EMAIL"),
        std::string::npos);
    EXPECT_NE(refused("{redaction: {preserve_length: true}}").find("preserve_length"), std::string::npos);
}

TEST(PiiOptions, ChooseKinds)
{
    EXPECT_EQ(redacted("{entities: [email]}", sample), "[EMAIL_1] 4111-1111-1111-1111 10.0.0.1 [EMAIL_2]");
    EXPECT_EQ(redacted("{entities: [EMAIL_ADDRESS, Credit_Card]}", sample),
              "[EMAIL_1] [CARD_1] 10.0.0.1 [EMAIL_2]");
    EXPECT_EQ(redacted("{kinds: {ip: off, email: 'no'}}", sample),
              "jane.roe@example.org [CARD_1] 10.0.0.1 joe@example.org");
    EXPECT_EQ(redacted("{pci_mode: false}", sample), "[EMAIL_1] 4111-1111-1111-1111 [IP_1] [EMAIL_2]");
    EXPECT_EQ(redacted("{}", "passport X12345678"), "passport X12345678");
    EXPECT_EQ(redacted("{detect_patterns: [passport]}", "passport X12345678, a@b.com"),
              "passport [PASSPORT_1], [EMAIL_1]");
    EXPECT_EQ(redacted("{kinds: {driver_license: on}}", "driving licence MORGA657054SM9IJ"),
              "driving licence [DRIVER_LICENSE_1]");
    EXPECT_EQ(redacted("{entities: [national_ids]}", "536-22-8761 a@b.com"), "[SSN_1] a@b.com");
}

TEST(PiiOptions, Healthcare)
{
    const char *text = "MRN: 00123456, NPI 1234567893, member id W123456789, MBI 1EG4-TE5-MK73";
    EXPECT_EQ(redacted("{}", text), text);
    EXPECT_EQ(redacted("{healthcare_mode: true}", text),
              "MRN: [MRN_1], NPI [NPI_1], member id [INSURANCE_ID_1], MBI [INSURANCE_ID_2]");
    const char *wrong = "NPI 1234567894, chart review on Monday, the record 12";
    EXPECT_EQ(redacted("{healthcare_mode: true}", wrong), wrong);
}

TEST(PiiOptions, WrongNames)
{
    EXPECT_NE(refused("{entities: [emial]}").find("entities: unknown kind \"emial\"; did you mean 'email'? known are email,"),
              std::string::npos);
    EXPECT_NE(refused("{detect_patterns: ['\\d{4}-\\d{4}']}").find("dlp-filter.detect_patterns"),
              std::string::npos);
    EXPECT_NE(refused("{entities: [PERSON]}").find("names and places"), std::string::npos);
    EXPECT_NE(refused("{kinds: {ip: maybe}}").find("kinds.ip: must be on or off"), std::string::npos);
    EXPECT_NE(refused("{kinds: {ipx: on}}").find("unknown kind"), std::string::npos);
}
