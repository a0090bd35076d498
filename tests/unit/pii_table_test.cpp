/* SPDX-License-Identifier: Apache-2.0 */
/* Headings of tables as context, however the table is written and however it arrives. */
#include "pii_texts.hpp"
#include "policy_fixture.hpp"

#include <gtest/gtest.h>

using policy_test::Policy;
using policy_test::Result;
using policy_test::Yaml;

namespace {

/* Far enough from the headings that they are out of reach as words in front. */
const std::string filler(150, 'x');

const std::vector<std::pair<std::string, std::string>> tables = {
    {"name,phone,dob,ssn\n" + filler + ",2125550134,1961-04-19,536228726\n",
     "name,phone,dob,ssn\n" + filler + ",[PHONE_1],[DOB_1],[SSN_1]\n"},
    {"kunde;geburtsdatum;telefon\r\n" + filler + ";28.09.1971;0301234567\r\n" + filler +
         ";1.2.1980;0309876543\r\n",
     "kunde;geburtsdatum;telefon\r\n" + filler + ";[DOB_1];[PHONE_1]\r\n" + filler +
         ";[DOB_2];[PHONE_2]\r\n"},
    {"dateOfBirth\tname\n1961-04-19\t" + filler + "\n1962-04-19\ty\n",
     "dateOfBirth\tname\n[DOB_1]\t" + filler + "\n[DOB_2]\ty\n"},
    {"| **Name** | Date de naissance |\n|---|---|\n| " + filler + " | 03/04/1984 |\n",
     "| **Name** | Date de naissance |\n|---|---|\n| " + filler + " | [DOB_1] |\n"},
    {" name | birth_date\n------+-----------\n " + filler + " | 1984-04-03\n",
     " name | birth_date\n------+-----------\n " + filler + " | [DOB_1]\n"},
    {"name,note,phone\n\"Roe, Jane\",\"" + filler + ", or not\",2125550134\n",
     "name,note,phone\n\"Roe, Jane\",\"" + filler + ", or not\",[PHONE_1]\n"},
    {"<table><tr class=\"a\"><th>Patient</th><th><b>NHS</b> Number</th><th>Date of "
     "birth</th></tr>\n<tr><td>" +
         filler + "</td><td style=\"a>b\">9434765919</td><td>10/08/1986</td></tr></table>",
     "<table><tr class=\"a\"><th>Patient</th><th><b>NHS</b> Number</th><th>Date of "
     "birth</th></tr>\n<tr><td>" +
         filler + "</td><td style=\"a>b\">[NHS_1]</td><td>[DOB_1]</td></tr></table>"},
    {"INSERT INTO users(name, phone, birth_date) VALUES\n('" + filler +
         " (it''s)', '2125550134', '1943-06-11'), ('b', '2125550135', NULL);",
     "INSERT INTO users(name, phone, birth_date) VALUES\n('" + filler +
         " (it''s)', '[PHONE_1]', '[DOB_1]'), ('b', '[PHONE_2]', NULL);"},
    {"[[\"name\", \"phone\", \"dob\"], [\"" + filler + "\", \"2125550134\", \"1943-06-11\"]]",
     "[[\"name\", \"phone\", \"dob\"], [\"" + filler + "\", \"[PHONE_1]\", \"[DOB_1]\"]]"},
};

/* No table, or the value stands in another column. */
const std::vector<std::string> innocent = {
    "name,phone,total\n" + filler + ",x,2125550134\n",
    "id,updated,dob\n1,1961-04-19,x\n",
    "name,dob\n\n" + filler + ",1961-04-19\n",
    "Bring a phone, a pen and some paper please, then wait for us\n" + filler + ", 2125550134\n",
    "def call(name, phone): pass\n" + filler + "\nrange(0, 2125550134)\n",
    "SELECT phone, dob FROM t WHERE x IN ('" + filler + "', '1961-04-19')",
    "<tr><th>Phone</th><th>Count</th></tr><tr><td>" + filler + "</td><td>2125550134</td></tr>",
    "[[\"phone\", \"count\"], [\"" + filler + "\", 2125550134]]",
    "Account Manager | Company\n" + filler + " | 2125550134\n",
};

std::vector<std::string> pieces(const std::string &text, size_t size)
{
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size(); at += size)
        out.push_back(text.substr(at, size));
    out.emplace_back("");
    return out;
}

} // namespace

TEST(PiiTable, HeadingsAreContext)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &[text, redacted] : tables)
        EXPECT_EQ(pii.whole(text).text, redacted);
}

TEST(PiiTable, OtherColumnsAndTextsAreNot)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    for (auto &text : innocent)
        EXPECT_EQ(pii.whole(text).text, text);
}

TEST(PiiTable, ManyColumns)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::string head, row;
    for (int i = 0; i < 30; i++) {
        head += "field,";
        row += "xxxxxxxx,";
    }
    EXPECT_EQ(pii.whole(head + "a,dob\n" + row + "b,1961-04-19\n").text,
              head + "a,dob\n" + row + "b,[DOB_1]\n");
    std::string past = head + "a,b,dob\n" + row + "a,b,1961-04-19\n";
    EXPECT_EQ(pii.whole(past).text, past) << "the 33rd column has no context";
    std::string wide;
    for (int i = 0; i < 70000; i++)
        wide += "phone,";
    EXPECT_EQ(pii.whole(wide + "\n" + wide + "\n").text, wide + "\n" + wide + "\n");
}

TEST(PiiTable, ACutAnywhereChangesNothing)
{
    Policy pii(Yaml{"{}"}, "pii-detector");
    std::vector<std::string> texts = innocent;
    std::string all;
    for (auto &t : tables) {
        texts.push_back(t.first);
        all += t.first + "\n\n";
    }
    for (const std::string &text : texts) {
        Result whole = pii.whole(text);
        for (size_t at = 0; at <= text.size(); at++)
            ASSERT_EQ(pii.run({text.substr(0, at), text.substr(at)}).text, whole.text) << "cut at " << at;
        ASSERT_EQ(pii.run(pieces(text, 1)).text, whole.text) << text;
    }
    while (all.size() < 70000) /* more than one piece of the scanner */
        all += all;
    Result whole = pii.whole(all);
    for (size_t size : {11, 1000, 16384, 40000})
        ASSERT_EQ(pii.run(pieces(all, size)).text, whole.text) << size;
}
