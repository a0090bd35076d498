/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Texts of our own for the detectors of personal data; numbers are from reserved or documentation ranges
 * where there are any. */
#include <string>
#include <vector>

namespace pii_texts {

struct Case {
    const char *text, *redacted;
};

inline const Case found[] = {
    /* e-mail */
    {"jane.roe@example.org", "[EMAIL_1]"},
    {"Mail jane@example.org.", "Mail [EMAIL_1]."},
    {"Mail jane@example.org. Then wait.", "Mail [EMAIL_1]. Then wait."},
    {"<jane+tag@mail.example.co.uk>", "<[EMAIL_1]>"},
    {"'o.brien@example.org'", "'[EMAIL_1]'"},
    {"o'brien@example.org", "[EMAIL_1]"},
    {"mailto:jane@example.org?subject=x", "mailto:[EMAIL_1]?subject=x"},
    {"j\xc3\xbcrgen@b\xc3\xbc"
     "cher.example",
     "[EMAIL_1]"},
    {"\xe8\x81\x94\xe7\xb3\xbbjane@example.org\xe3\x80\x82\xe8\xb0\xa2",
     "\xe8\x81\x94\xe7\xb3\xbb[EMAIL_1]\xe3\x80\x82\xe8\xb0\xa2"},
    {"a@xn--80ak6aa92e.com", "[EMAIL_1]"},
    {"a@example.xn--p1ai", "[EMAIL_1]"},
    {"https://host/u?mail=jane%40example.org&x=1", "https://host/u?mail=[EMAIL_1]&x=1"},
    {"jane@example.org,joe@example.org;x", "[EMAIL_1],[EMAIL_2];x"},
    {"x jane@example.org-y", "x [EMAIL_1]-y"},
    {"JANE@EXAMPLE.ORG", "[EMAIL_1]"},
    {"jane_roe99@sub.sub2.example.museum!", "[EMAIL_1]!"},
    {"555-123-4567@sms.example.com", "[EMAIL_1]"},
    /* cards */
    {"4111111111111111", "[CARD_1]"},
    {"4111-1111-1111-1111", "[CARD_1]"},
    {"pay 4111 1111 1111 1111 now", "pay [CARD_1] now"},
    {"Amex 3782 822463 10005, cvv 123", "Amex [CARD_1], cvv [CVV_1]"},
    {"378282246310005", "[CARD_1]"},
    {"5555555555554444;exp=12/27", "[CARD_1];exp=[CARD_EXPIRY_1]"},
    {"4111111111111111 5555555555554444", "[CARD_1] [CARD_2]"},
    {"a,4111111111111111,b", "a,[CARD_1],b"},
    {"4111\xc2\xa0"
     "1111\xc2\xa0"
     "1111\xc2\xa0"
     "1111",
     "[CARD_1]"},
    {"4111 1111 1111 1111 12/27", "[CARD_1] 12/27"},
    {"6011000990139424 and 3530111333300000 and 30569309025904", "[CARD_1] and [CARD_2] and [CARD_3]"},
    /* social security numbers */
    {"SSN 219-09-4321", "SSN [SSN_1]"},
    {"219 09 4321", "[SSN_1]"},
    {"My social security number is 219094321.", "My social security number is [SSN_1]."},
    {"ssn: 219.09.4321", "ssn: [SSN_1]"},
    {"123-45-6789", "[SSN_1]"},
    /* phones */
    {"+1 (209) 555-3364", "[PHONE_1]"},
    {"+1-209-555-3364", "[PHONE_1]"},
    {"+44 20 7946 0018", "[PHONE_1]"},
    {"+44 20 7946 0018 12 people", "[PHONE_1] 12 people"},
    {"+33 1 99 00 12 34", "[PHONE_1]"},
    {"+49 (0)30 901820", "[PHONE_1]"},
    {"+49 171 1234567", "[PHONE_1]"},
    {"0049 30 901820 55", "[PHONE_1]"},
    {"+4915112345678", "[PHONE_1]"},
    {"+90 532 123 45 67", "[PHONE_1]"},
    {"(209) 555-3364", "[PHONE_1]"},
    {"(209)555-3364", "[PHONE_1]"},
    {"call 209-555-3364 2 times", "call [PHONE_1] 2 times"},
    {"209.555.3364", "[PHONE_1]"},
    {"209 555 3364", "[PHONE_1]"},
    {"1-800-555-0199", "[PHONE_1]"},
    {"555-123-4567", "[PHONE_1]"},
    {"01 99 00 12 34", "[PHONE_1]"},
    {"06.39.98.12.34", "[PHONE_1]"},
    {"0639981234", "[PHONE_1]"},
    {"030 901820", "[PHONE_1]"},
    {"0171/1234567", "[PHONE_1]"},
    {"020 7946 0018", "[PHONE_1]"},
    {"07700 900123", "[PHONE_1]"},
    {"685 88 62 62", "[PHONE_1]"},
    {"91 123 45 67", "[PHONE_1]"},
    {"345 1234567", "[PHONE_1]"},
    {"0 532 123 45 67", "[PHONE_1]"},
    {"tel: 5551234567", "tel: [PHONE_1]"},
    {"phone 555-1234", "phone [PHONE_1]"},
    {"\xe7\x94\xb5\xe8\xaf\x9d+86 138 0013 8000", "\xe7\x94\xb5\xe8\xaf\x9d[PHONE_1]"},
    {"+1 209 555 3364, +1 209 555 3365", "[PHONE_1], [PHONE_2]"},
    /* addresses of machines */
    {"192.168.0.1", "[IP_1]"},
    {"from 203.0.113.7:443 to 10.0.0.0/8.", "from [IP_1]:443 to [IP_2]."},
    {"2001:db8::1", "[IP_1]"},
    {"[2001:db8::8a2e:370:7334]:8080", "[[IP_1]]:8080"},
    {"2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[IP_1]"},
    {"::ffff:192.0.2.128", "[IP_1]"},
    {"fe80::1%eth0 up", "[IP_1] up"},
    {"ping ::1 please", "ping [IP_1] please"},
    {"2001:db8::/32", "[IP_1]"},
    {"64:ff9b::192.0.2.33/96,x", "[IP_1],x"},
    {"10.1.2.3@example.org", "[IP_1]@example.org"}, /* nothing reaches back into a value */
    {"10.1.2.3-a@example.org", "[IP_1]-[EMAIL_1]"},
    /* more than one kind */
    {"Jane, jane@example.org, 209-555-3364, 4111 1111 1111 1111, 219-09-4321, 10.1.2.3",
     "Jane, [EMAIL_1], [PHONE_1], [CARD_1], [SSN_1], [IP_1]"},
    {"{\"mail\":\"jane@example.org\",\"tel\":\"+44 20 7946 0018\"}",
     "{\"mail\":\"[EMAIL_1]\",\"tel\":\"[PHONE_1]\"}"},
};

inline const char *const innocent[] = {
    "",
    "Hello world",
    "@",
    "%40",
    "a@b",
    "@decorator def f(): pass",
    "npm i @scope/package@1.2.3",
    "user@localhost",
    "x@y.z",
    "price 4,111.00 USD",
    "4111111111111112",
    "4111 1111 1111 1112",
    "1234567890123456",
    "0000000000000000",
    "order id 865744613267 shipped",
    "epoch 1761335350879 ms",
    "1761335350",
    "ISBN 978-0-306-40615-7",
    "trace 34a46b63-1aa2-44dd-8898-c549f6e19980 done",
    "commit d8565e616ddbb5a3a66536b5af921b9027d52563",
    "pi is 3.14159265358979 and e is 2.718281828459045",
    "000-12-3456",
    "666-12-3456",
    "912-12-3456",
    "123-00-4567",
    "123-45-0000",
    "123-45-67890",
    "1123-45-6789",
    "219094321",
    "version 5.13.6.20",
    "v1.2.3.4",
    "1.3.6.1.4.1.311",
    "256.1.1.1",
    "1.2.3",
    "12:34:56",
    "ff:ff:ff:ff:ff:ff",
    "aa:bb:cc:dd:ee",
    "std::cout << x",
    "f :: Int -> Int",
    "x[::2]",
    "a[1::2]",
    "Class::add",
    "2001::db8::1",
    "2024-05-12 10:45:00",
    "01.02.2024",
    "14/04/1984",
    "1999-2004",
    "phone released 2019-2020",
    "(see page 12)",
    "+1",
    "+",
    "(",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "100 200 300 400 500 600",
    "12 345 678 901 234",
    "FR76 3000 6000 0112 3456 7890 188",
    "x = 1_000_000_000",
    "0x1234567890",
    "3.5e10 and 1e-9",
    "ratio 16:9, 4-2-4",
    "room 12-345",
    "10.5281/zenodo.1234567",
    "12345-6789",
    "$1,234,567.89",
};

/* Arguments of tool calls are JSON source. */
inline const Case tool_calls[] = {
    {"{\"to\":\"jane@example.org\",\"n\":1}", "{\"to\":\"[EMAIL_1]\",\"n\":1}"},
    {"{\"text\":\"hi\\njane@example.org\"}", "{\"text\":\"hi\\n[EMAIL_1]\"}"},
    {"{\"text\":\"x\\u00e9jane@example.org\"}", "{\"text\":\"[EMAIL_1]\"}"},
    {"{\"text\":\"\\u4f60jane@example.org\"}", "{\"text\":\"\\u4f60[EMAIL_1]\"}"},
    {"{\"path\":\"C:\\\\jane@example.org\"}", "{\"path\":\"C:\\\\[EMAIL_1]\"}"},
    {"{\"text\":\"\\t209-555-3364\\n\"}", "{\"text\":\"\\t[PHONE_1]\\n\"}"},
    {"{\"text\":\"\\u00a0209-555-3364\"}", "{\"text\":\"\\u00a0[PHONE_1]\"}"},
    {"{\"card\":4111111111111111}", "{\"card\":\"[CARD_1]\"}"},
    {"{\"card\":4111111111111111,\"q\":\"say \\\"4111111111111111\\\"\"}",
     "{\"card\":\"[CARD_1]\",\"q\":\"say \\\"[CARD_1]\\\"\"}"},
    {"[ 4111111111111111 , \"10.0.0.1\" ]", "[ \"[CARD_1]\" , \"[IP_1]\" ]"},
};

/* Everything above, some of it embedded. */
inline std::vector<std::string> all()
{
    std::vector<std::string> texts;
    for (auto &c : found)
        texts.emplace_back(c.text);
    for (const char *t : innocent)
        texts.emplace_back(t);
    for (auto &c : found)
        texts.push_back("Dear team, " + std::string(c.text) + " and so on.");
    texts.push_back(std::string(80, 'a') + "@example.org");
    texts.push_back("jane@" + std::string(70, 'b') + ".org jane@" + std::string(60, 'c') + ".org");
    texts.push_back("jane.roe.with.a.very.long.name.indeed.so.long@example.org and +44 20 7946 0018");
    return texts;
}

} // namespace pii_texts
