/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of every table, broken in every way that its type allows: a complaint with a code, at its line,
 * with a way out. The tables themselves are walked, so that a new key is tested by its row. */
#include "policyengine/config/kt_schema.h"
#include "policyengine/policies/kt_policy.h"
#include "tests/unit/config_fixture.h"

namespace {

using Path = std::vector<std::pair<std::string, const kt_option *>>; /* key, table below it */

/* What a required sibling may hold. */
std::string sample(const kt_option &o)
{
    static const std::pair<const char *, const char *> by_name[] = {
        {"pack", "{name: t, version: 1.0.0}"},
        {"policies", "{chain: [audit-logger]}"},
        {"targets", "[{id: a, provider: mistral, model: m}]"},
        {"version", "1.0.0"},
        {"chain", "[audit-logger]"},
        {"provider", "mistral"},
        {"type", "not-empty"}};
    for (auto &[name, text] : by_name)
        if (std::string(o.name) == name)
            return text;
    return o.type == KT_OPT_INT || o.type == KT_OPT_FLOAT ? "1" : "t";
}

/* Lines of YAML, deeper and deeper. */
struct Writer {
    std::string out, pad;
    unsigned lines = 0;
    bool item = false; /* the next line begins an entry of a list */

    void put(const std::string &text)
    {
        out += (item ? pad.substr(2) + "- " : pad) + text + "\n";
        item = false;
        lines++;
    }
    void enter(const std::string &key)
    {
        size_t list = key.find("[]");
        put(key.substr(0, list) + ":");
        pad += list == std::string::npos ? "  " : "    ";
        item = list != std::string::npos;
    }
};

/* A config that is good but for `line`, which stands in the table at the end of the path; *at is its number.
 */
std::string document(const Path &path, const std::string &key, const std::string &line, unsigned *at)
{
    Writer w;
    bool policy = path.size() > 2 && path[1].first == "policy";
    for (size_t i = 0; i < path.size(); i++) {
        std::string next = i + 1 < path.size() ? path[i + 1].first : key;
        for (const kt_option *o = path[i].second; o && o->name; o++) {
            std::string name = o->name;
            if (i == 0 && policy && name == "policies")
                w.put("policies: {chain: [" + path[2].first + "]}");
            else if (o->required && next.substr(0, next.find("[]")) != name)
                w.put(name + ": " + sample(*o));
        }
        if (i + 1 < path.size())
            w.enter(next);
    }
    *at = w.lines + 1;
    w.put(line);
    return w.out;
}

std::string number(double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.0f", v);
    return text;
}

std::vector<std::string> wrong_values(const kt_option &o)
{
    switch (o.type) {
    case KT_OPT_BOOL:
        return {"yes", "'true'", "7", "[true]", "{a: true}"};
    case KT_OPT_INT:
    case KT_OPT_FLOAT: {
        std::vector<std::string> v = {
            "lots", "'5'", "[5]", "{a: 5}", "30s", "1e999", "99999999999999999999999x"};
        bool open = o.def && o.def[0] == '-' && o.min >= 0; /* "not set" */
        if (o.min != 0 || o.max != 0) {
            v.push_back(number(open ? -1 : o.min - 1));
            v.push_back(number(o.max + 1));
        }
        return v;
    }
    case KT_OPT_ENUM:
        return {"nonsense", "[nonsense]", "{a: b}", "''"};
    case KT_OPT_STRING:
        return {"[a]", "{a: b}"};
    case KT_OPT_STRING_LIST:
        return {"word", "{a: b}", "[[a]]", "[{a: b}]"};
    case KT_OPT_TABLE:
        return {"word", "[a]", "{nonsense: 1}"};
    case KT_OPT_TABLE_LIST:
        return {"word", "{a: b}", "[word]", "[{nonsense: 1}]"};
    case KT_OPT_STRING_MAP:
        return {"word", "[a]", "{a: [b]}"};
    case KT_OPT_FLOAT_MAP:
        return {"word", "[a]", "{a: [b]}", "{a: b}", "{a: -1}", "{a: 1000}"};
    case KT_OPT_CUSTOM:
        return {"nonsense", "[[a]]", "[nonsense, nonsense]"};
    case KT_OPT_JSON: /* any */
        break;
    }
    return {};
}

/* An error at the line that names the key. */
void refused(const Path &path, const std::string &key, const std::string &line)
{
    unsigned at = 0;
    std::string text = document(path, key, line, &at), seen;
    kt_diags diags = {};
    kt_config *c = nullptr;
    EXPECT_NE(kt_config_parse("t.yaml", text.data(), text.size(), &c, &diags).code, KT_OK) << text;
    kt_config_free(c);
    bool good = false;
    for (size_t i = 0; i < diags.count; i++) {
        const kt_diag &d = diags.items[i];
        good = good || (d.severity == KT_SEV_ERROR && d.line == at && d.col > 0 && d.suggestion && d.message);
        seen += std::string(d.code) + " " + std::to_string(d.line) + ":" + std::to_string(d.col) + " " +
                (d.path ? d.path : "") + " " + d.message + " (" + (d.suggestion ? d.suggestion : "") + ")\n";
    }
    kt_diags_free(&diags);
    EXPECT_TRUE(good) << "line " << at << " of\n" << text << seen;
}

size_t walk(const Path &path)
{
    size_t keys = 0;
    for (const kt_option *o = path.back().second; o->name; o++, keys++) {
        std::string key = o->name;
        for (const std::string &v : wrong_values(*o))
            refused(path, key, key + ": " + v);
        refused(path, key, key + "_: 1");
        Path below = path;
        if (o->type == KT_OPT_TABLE || o->type == KT_OPT_TABLE_LIST) {
            below.emplace_back(key + (o->type == KT_OPT_TABLE ? "" : "[]"), o->table);
            keys += walk(below);
        }
    }
    return keys;
}

TEST(EveryKey, IsRefusedAtItsPlaceWhereItIsWrong)
{
    const Path root = {{"", kt_schema_root}};
    size_t keys = walk(root);
    Path below = root;
    below.emplace_back("policies", kt_schema_policies);
    keys += walk(below);
    below = root;
    below.emplace_back("providers", nullptr);
    below.emplace_back("targets[]", kt_schema_target);
    keys += walk(below);
    size_t count = 0;
    for (const kt_policy *const *p = kt_policies(&count), *const *end = p + count; p < end; p++) {
        below = root;
        below.emplace_back("policy", nullptr);
        below.emplace_back((*p)->kind, (*p)->options);
        keys += walk(below);
        below.back().second = kt_schema_common;
        keys += walk(below);
    }
    EXPECT_GT(keys, 190u);
}

} // namespace
