/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runs the built `kt` as a user does. */
#include "tests/unit/config_fixture.h"

#include <algorithm>
#include <cjson/cJSON.h>
#include <map>
#include <sstream>
#include <sys/wait.h>

namespace kt {

struct Ran {
    int status = -1;
    std::string out, err;
};

/* bin/kt lies beside the folder of this test program. */
inline std::string program()
{
    auto bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "kt";
    EXPECT_TRUE(std::filesystem::exists(bin)) << bin << " is not built";
    return bin.string();
}

inline std::string slurp(const std::filesystem::path &path)
{
    std::ifstream f(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(f), {});
}

/* `kt <args>` in the scratch folder with nothing of ours in the environment but `env`; `input` on standard
 * input. */
inline Ran run_kt(const Scratch &s, const std::string &args, const std::string &input = "",
                  const std::string &env = "")
{
    s.write(".in", input);
    std::string command = "cd '" + s.dir.string() + "' && env -u KT_POLICY_CONFIG -u MISTRAL_API_KEY " + env +
                          " '" + program() + "' " + args + " <.in >.out 2>.err";
    int status = system(command.c_str());
    Ran r;
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    r.out = slurp(s.dir / ".out");
    r.err = slurp(s.dir / ".err");
    return r;
}

struct JsonFree {
    void operator()(cJSON *j) const
    {
        cJSON_Delete(j);
    }
};
using Json = std::unique_ptr<cJSON, JsonFree>;

/* "a.b[1].c" below `o`; NULL where there is none. */
inline const cJSON *at(const cJSON *o, const std::string &path)
{
    for (size_t i = 0; o && i < path.size();) {
        if (path[i] == '.') {
            i++;
        } else if (path[i] == '[') {
            size_t end = path.find(']', i);
            o = cJSON_GetArrayItem(o, atoi(path.c_str() + i + 1));
            i = end + 1;
        } else {
            size_t end = path.find_first_of(".[", i);
            o = cJSON_GetObjectItemCaseSensitive(o, path.substr(i, end - i).c_str());
            i = end == std::string::npos ? path.size() : end;
        }
    }
    return o;
}

inline std::string text(const Json &j, const std::string &path)
{
    const char *s = cJSON_GetStringValue(at(j.get(), path));
    return s ? s : "(none)";
}

inline double number(const Json &j, const std::string &path)
{
    const cJSON *n = at(j.get(), path);
    EXPECT_TRUE(cJSON_IsNumber(n)) << path;
    return cJSON_IsNumber(n) ? n->valuedouble : -1;
}

} // namespace kt
