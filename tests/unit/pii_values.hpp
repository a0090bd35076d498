/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Texts with invented values of every kind of personal data. Forms are filled at random; of what comes out,
 * those stay whose check digits are right, as the whole text's redaction shows: that the rules are right is
 * for the goldens of pii_kinds_test, here it matters that there are many values. */
#include "policy_fixture.hpp"
#include "property_fixture.hpp"

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <array>

namespace pii_values {

using property::Random;

struct Text {
    std::string text, value;
};

struct Form {
    const char *label;
    std::vector<std::string>
        forms; /* # digit, ? capital, ~ small letter, % hex digit, @@ = '@'; '|' in front of the value */
};

inline const std::vector<Form> &forms()
{
    static const std::vector<Form> all = {
        {"email", {"|~~~~.~~~~~@@~~~~~~.example", "mail |~~##@@~~~~.~~~~~.org", "|~~-~~+~~~@@mail.~~~~~.de"}},
        {"mac", {"|%%:%%:%%:%%:%%:%%", "mac |00-1%-%%-%%-%%-%%", "|%%%%.%%%%.%%%%"}},
        {"ip", {"host |203.0.1##.##", "|198.51.100.2#", "|2001:db8:%%%%::%%%%", "ip=|9.#.1#.##"}},
        {"iban", {"|DE##37040044053201####", "IBAN |GB## WEST 1234 5698 76## ##", "|NL##ABNA04171643##"}},
        {"btc", {"BTC"}},
        {"eth",
         {"eth |0x%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
          "my wallet: |0x%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%"}},
        {"card",
         {"|4###############", "card |5##5 1051 0510 ####", "|37844936####00#", "|4000-05##-5566-####"}},
        {"card_expiry", {"card expires |1#/2#", "Visa, exp |0#/20##", "credit card valid thru |0#/3#"}},
        {"cvv", {"CVV |###", "cvc: |####", "card CVV2 |###"}},
        {"nir",
         {"NIR |1 85 ## 78 ### ### ##", "|2##0#75######  ",
          "|285057800####"
          "##"}},
        {"codice_fiscale", {"|RSSMRA8#M##H50#?", "CF |BNC?RA7#E##F20#?", "codice fiscale |VRD???6#T##L21#?"}},
        {"dni_nie", {"DNI |########?", "|########-?", "NIE |X#######?"}},
        {"vat", {"VAT |DE#########", "|ATU########", "TVA |FR8#40####0##", "|PL526000####"}},
        {"nino", {"|AB######C", "NI number: |JG ## ## ## A", "|SX######B"}},
        {"vin", {"VIN |1HGCM826#0A00####", "|WVWAA71K#8W2#####", "vin |1M8GD?9A#K?04####"}},
        {"dob", {"born on |1#/0#/19##", "DOB: |19##-0#-1#", "geboren am |#.1#.19##"}},
        {"npi", {"NPI |1#########", "NPI number |2#########"}},
        {"nhs", {"NHS number |### ### ####", "nhs |##########", "|4## 0## ####"}},
        {"aba", {"routing number |0########", "ABA: |1########"}},
        {"ssn", {"SSN |5##-2#-####", "|4##-1#-####", "social security no. |3########"}},
        {"itin", {"ITIN |9##-7#-####", "|9##-8#-####", "taxpayer id |95#7#####"}},
        {"steuer_id", {"Steuer-ID: |8##########", "IdNr |4# ### ### ###"}},
        {"national_id",
         {"PESEL |8#0#1######", "cpf |###.###.###-##", "BSN |#########", "Aadhaar |2### #### ####"}},
        {"insurance_id", {"member id |W########", "|1EG#-TE#-MK##", "insurance number |?##-######"}},
        {"mrn", {"MRN |########", "medical record |M######", "MRN: |##-##-###"}},
        {"passport", {"passport |X########", "passport no. |#########"}},
        {"driver_license", {"driver license |D#######", "driving licence |MORGA######SM#"}},
        {"phone",
         {"+|1 415 555 ####", "call |(212) 555-0###", "|+44 20 7946 0###", "tel. |030 9018####",
          "|+33 6 39 98 ## ##"}},
    };
    return all;
}

/* A Bitcoin address of the oldest kind: 1, 20 bytes and 4 of their double SHA-256, in base 58. */
inline std::string btc(Random &r)
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    std::array<uint8_t, 25> raw{};
    uint8_t once[32], twice[32];
    for (size_t i = 1; i < 21; i++)
        raw[i] = static_cast<uint8_t>(1 + r.below(255));
    SHA256(raw.data(), 21, once);
    SHA256(once, 32, twice);
    memcpy(raw.data() + 21, twice, 4);
    std::string out;
    for (bool more = true; more;) {
        unsigned rest = 0;
        more = false;
        for (auto &b : raw) {
            unsigned v = rest << 8 | b;
            b = static_cast<uint8_t>(v / 58);
            rest = v % 58;
            more = more || b;
        }
        out.insert(out.begin(), digits[rest]);
    }
    return "1" + out;
}

inline Text fill(Random &r, const std::string &form)
{
    if (form == "BTC") {
        std::string v = btc(r);
        return {"send to " + v, v};
    }
    std::string out;
    size_t from = 0;
    for (size_t i = 0; i < form.size(); i++) {
        char c = form[i];
        if (c == '|')
            from = out.size();
        else if (c == '@' && i + 1 < form.size() && form[i + 1] == '@')
            i++, out += '@';
        else
            out += c == '#'   ? static_cast<char>('0' + r.below(10))
                   : c == '?' ? static_cast<char>('A' + r.below(26))
                   : c == '~' ? static_cast<char>('a' + r.below(26))
                   : c == '%' ? "0123456789abcdef"[r.below(16)]
                              : c;
    }
    while (out.back() == ' ')
        out.pop_back();
    return {out, out.substr(from)};
}

inline const char *options()
{
    return "{healthcare_mode: true, kinds: {passport: on, driver_license: on}}";
}

/* `n` texts with one value each. */
inline std::vector<Text> texts(policy_test::Policy &pii, const Form &f, size_t n, Random &r)
{
    static const std::vector<std::string> before = {"", "Hi, ", "n\xc3\xa9 \xe2\x9c\x93 ", "ok:\n"};
    static const std::vector<std::string> behind = {"", ".", " and more", " \xf0\x9f\x98\x80", "\n", ", x@y"};
    std::vector<Text> out;
    for (int tries = 0; out.size() < n && tries < 100000; tries++) {
        Text t = fill(r, r.pick(f.forms));
        t.text = r.pick(before) + t.text + r.pick(behind);
        policy_test::Result whole = pii.whole(t.text);
        if (whole.labels == std::string(f.label) + ":1 " && whole.text.find(t.value) == std::string::npos)
            out.push_back(t);
    }
    EXPECT_EQ(out.size(), n) << f.label;
    return out;
}

} // namespace pii_values
