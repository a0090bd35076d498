/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/audit_log.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define HASH_DIGITS (KT_SHA256_HEX - 1)
#define PREV_KEY ",\"prev_hash\":\""
#define HASH_KEY ",\"hash\":\""

static bool is_hash(const char *s)
{
    return strspn(s, "0123456789abcdef") >= HASH_DIGITS;
}

/* Length of the part that is hashed: up to `,"hash":` in a chained line, else up to the final brace. A line
 * of any other form gives a hash that fits nowhere, which is the point. */
static size_t hashed_part(struct kt_span line, struct audit_line *out, const char **written)
{
    const size_t hash_len = strlen(HASH_KEY) + HASH_DIGITS + 2; /* "} */
    const size_t prev_len = strlen(PREV_KEY) + HASH_DIGITS + 1;
    *written = NULL;
    if (line.len > hash_len + prev_len) {
        const char *h = line.data + line.len - hash_len, *p = h - prev_len;
        if (memcmp(h, HASH_KEY, strlen(HASH_KEY)) == 0 && memcmp(p, PREV_KEY, strlen(PREV_KEY)) == 0 &&
            is_hash(h + strlen(HASH_KEY)) && is_hash(p + strlen(PREV_KEY))) {
            out->chained = true;
            memcpy(out->prev_hash, p + strlen(PREV_KEY), HASH_DIGITS);
            *written = h + strlen(HASH_KEY);
            return (size_t)(h - line.data);
        }
    }
    return line.len > 0 ? line.len - 1 : 0;
}

static kt_result parse_members(struct kt_span line, struct audit_line *out)
{
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(line.data, line.len, &end, false);
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(json, "seq");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "event_type");
    bool ok = cJSON_IsObject(json) && end == line.data + line.len && cJSON_IsNumber(seq) &&
              seq->valuedouble >= 1 && seq->valuedouble < 9007199254740992.0 && cJSON_IsString(type);
    if (ok) {
        out->seq = (uint64_t)seq->valuedouble;
        snprintf(out->event_type, sizeof out->event_type, "%s", type->valuestring);
    }
    cJSON_Delete(json);
    return ok ? kt_ok() : kt_err(KT_ERR_SYNTAX);
}

kt_result audit_line_parse(struct kt_span line, struct audit_line *out)
{
    const char *written;
    memset(out, 0, sizeof *out);
    KT_ENSURE(line.len > 2 && line.data[0] == '{' && line.data[line.len - 1] == '}', KT_ERR_SYNTAX);
    KT_GUARD(parse_members(line, out));
    size_t n = hashed_part(line, out, &written);
    KT_GUARD(kt_sha256_hex(line.data, n, out->hash));
    out->hash_matches = !written || memcmp(written, out->hash, HASH_DIGITS) == 0;
    return kt_ok();
}

bool audit_checkpoint_parse(struct kt_span line, struct audit_checkpoint *c)
{
    memset(c, 0, sizeof *c);
    cJSON *json = cJSON_ParseWithLength(line.data, line.len);
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(json, "file");
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(json, "first_seq");
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(json, "last_seq");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(json, "bytes");
    const cJSON *hash = cJSON_GetObjectItemCaseSensitive(json, "last_hash");
    bool ok = cJSON_IsString(file) && strlen(file->valuestring) < sizeof c->file && cJSON_IsNumber(first) &&
              cJSON_IsNumber(last) && cJSON_IsNumber(bytes) && cJSON_IsString(hash) &&
              strlen(hash->valuestring) == HASH_DIGITS && first->valuedouble >= 1 &&
              last->valuedouble >= first->valuedouble && last->valuedouble < 9007199254740992.0 &&
              bytes->valuedouble >= 0 && bytes->valuedouble < 9007199254740992.0;
    if (ok) {
        memcpy(c->file, file->valuestring, strlen(file->valuestring) + 1);
        memcpy(c->last_hash, hash->valuestring, HASH_DIGITS + 1);
        c->first_seq = (uint64_t)first->valuedouble;
        c->last_seq = (uint64_t)last->valuedouble;
        c->bytes = (uint64_t)bytes->valuedouble;
        c->pruned = cJSON_GetObjectItemCaseSensitive(json, "pruned") != NULL;
    }
    cJSON_Delete(json);
    return ok;
}
