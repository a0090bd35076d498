/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The same kinds of personal data in the other ways that people and programs write them, and what such
 * writings are mistaken for. Numbers are invented; their check digits were computed by a second
 * implementation. */
#include "pii_texts.hpp"

namespace pii_texts {

inline const Case writings_found[] = {
    {"n\xc2\xb0 2 78 04 77 184 236 / 44", "n\xc2\xb0 [NIR_1]"},
    {"NIR 2780477184236/44.", "NIR [NIR_1]."},
    {"NIR 2780477184236 44.", "NIR [NIR_1]."},
    {"2-78-04-77-184-236-44", "[NIR_1]"},
    {"Steuer-ID 47/680/958/123", "Steuer-ID [STEUER_ID_1]"},
    {"IdNr. 98765432106 liegt vor.", "IdNr. [STEUER_ID_1] liegt vor."},
    {"NIE Z 9871834 D", "NIE [DNI_NIE_1]"},
    {"(Z-9.871.834-D)", "([DNI_NIE_1])"},
    {"30083949h", "[DNI_NIE_1]"},
    {"dni=30083949H&x=1", "dni=[DNI_NIE_1]&x=1"},
    {"c.f. VVL MSF 49M22 L446 Q", "c.f. [CODICE_FISCALE_1]"},
    {"VVLMSF 49M22 L446Q", "[CODICE_FISCALE_1]"},
    {"Vvlmsf49m22l446q", "[CODICE_FISCALE_1]"},
    {"0281-7560-3", "[ABA_1]"},
    {"nino: tw987654a", "nino: [NINO_1]"},
    {"SSN 536 - 22 - 8726", "SSN [SSN_1]"},
    {"SSN 536/22/8726", "SSN [SSN_1]"},
    {"135412345678903", "[CARD_1]"},
    {"card 36089496851104334"
     "6",
     "card [CARD_1]"},
    {"Call (+49 30 1234567) now", "Call ([PHONE_1]) now"},
    {"(0612345678)", "([PHONE_1])"},
    {"(+351) 21 123 4567", "[PHONE_1]"},
    {"VALUE=030 1234567", "VALUE=[PHONE_1]"},
    {"?to=415-555-0134&x=1", "?to=[PHONE_1]&x=1"},
    {"06 12 34 56 78 06 98 76 54 32", "[PHONE_1] [PHONE_2]"},
    {"06 12 34 56 78 75001 Paris", "[PHONE_1] 75001 Paris"},
    {"0033 6 12 34 56 78", "[PHONE_1]"},
    {"001 415 555 0134", "[PHONE_1]"},
    {"listen on :: port 80", "listen on [IP_1] port 80"},
    {"allow ::/0", "allow [IP_1]"},
    {"src=:: dst=::1", "src=[IP_1] dst=[IP_2]"},
};

inline const char *const writings_innocent[] = {
    "439 723 095 762 830",
    "39 2 84 83 18 20 86 3 44 75 93",
    "100 - 14 - 1073 = ?",
    "0123456789 01234567890",
    "0111 1111 1001 1101",
    "02 01 04 40 20 22",
    "097 619 067 984 183 026",
    "x = 0.0975300054477678",
    "001332-1234567",
    "EAN 4006381333931",
    "barcode 4093384103272",
    "\"snowflake\": \"360894968511043346\"",
    "8706 2274 3018 5894 2699 8031",
    "git clone git@git.example.org:foo/bar.git",
    "20240115t",
    "12345678a",
    "std::vector :: x[::] y",
    "0281-7560-4",
    "Z-9.871.834-E",
    "2 78 04 77 184 236 / 45",
};

} // namespace pii_texts
