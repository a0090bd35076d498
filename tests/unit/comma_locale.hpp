/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// A locale that writes 0,5: what a wrapped program may set must not show in anything that we write.
#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <string>

class CommaLocale {
  public:
    CommaLocale()
    {
        char t[] = "/tmp/kt-locale-XXXXXX";
        dir = mkdtemp(t);
        // It warns of what the character map lacks and exits with 1 all the same.
        (void)!system(("localedef -i de_DE -f UTF-8 " + dir + "/de_DE.UTF-8 >/dev/null 2>&1").c_str());
        setenv("LOCPATH", dir.c_str(), 1);
        EXPECT_NE(setlocale(LC_ALL, "de_DE.UTF-8"), nullptr) << "the package locales is missing";
        EXPECT_STREQ(localeconv()->decimal_point, ",");
    }
    ~CommaLocale()
    {
        setlocale(LC_ALL, "C");
        unsetenv("LOCPATH");
        std::filesystem::remove_all(dir);
    }

  private:
    std::string dir;
};
