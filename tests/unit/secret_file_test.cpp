// SPDX-License-Identifier: Apache-2.0
#include "policyengine/config/kt_config.h"
#include "policyengine/config/kt_secret_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace {

class SecretFile : public testing::Test {
  protected:
    std::string path = testing::TempDir() + "kt_secret_file_" + std::to_string(getpid());
    kt_secret_file *kept = kt_secret_file_new();
    kt_error err = {KT_OK, ""};

    void write(const std::string &text)
    {
        // A new file, as those who replace keys do; within a clock tick its inode tells.
        std::ofstream(path + ".new") << text;
        std::filesystem::rename(path + ".new", path);
    }
    std::string get()
    {
        char *key = nullptr;
        err = {KT_OK, ""};
        if (kt_secret_file_get(kept, path.c_str(), &key, &err).code != KT_OK)
            return "-";
        std::string out = key;
        kt_free_secret(key);
        return out;
    }
    /// No fd can be had until the end.
    struct NoFds {
        rlimit before{};
        NoFds()
        {
            getrlimit(RLIMIT_NOFILE, &before);
            rlimit none{0, before.rlim_max};
            setrlimit(RLIMIT_NOFILE, &none);
        }
        ~NoFds()
        {
            setrlimit(RLIMIT_NOFILE, &before);
        }
    };
    void TearDown() override
    {
        kt_secret_file_free(kept);
        std::filesystem::remove(path);
    }
};

TEST_F(SecretFile, IsReadOnceAndNeedsNoFdThen)
{
    write("key-0001\n");
    EXPECT_EQ(get(), "key-0001");
    NoFds none;
    EXPECT_EQ(get(), "key-0001");
    EXPECT_EQ(get(), "key-0001");
}

TEST_F(SecretFile, AnotherFileInItsPlaceIsRead)
{
    write("key-0001");
    EXPECT_EQ(get(), "key-0001");
    write("key-0002");
    EXPECT_EQ(get(), "key-0002");
    std::filesystem::remove(path);
    EXPECT_EQ(get(), "-") << "a key that was taken away is not used any more";
    EXPECT_NE(std::string(err.text).find("No such file"), std::string::npos) << err.text;
    write("key-0003");
    EXPECT_EQ(get(), "key-0003");
}

TEST_F(SecretFile, SaysWhyItCannotBeRead)
{
    write("key-0001");
    NoFds none;
    EXPECT_EQ(get(), "-");
    EXPECT_NE(std::string(err.text).find("raise RLIMIT_NOFILE"), std::string::npos) << err.text;
}

} // namespace
