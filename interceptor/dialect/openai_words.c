/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of a request that need no look: words that the API defines, hosts, the bytes of files. */
#include "interceptor/dialect/kt_segments.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Keys of requests, messages, parts and JSON schemas, roles, types. In the order of strcmp. */
static const char *const words[] = {
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "allowed_tools",
    "annotations",
    "any",
    "anyOf",
    "arguments",
    "array",
    "assistant",
    "audio",
    "auto",
    "best_of",
    "boolean",
    "cache_control",
    "channels",
    "chatCompletions",
    "computer",
    "const",
    "content",
    "custom",
    "data",
    "date",
    "date-time",
    "default",
    "definition",
    "definitions",
    "dependencies",
    "description",
    "detail",
    "developer",
    "dimensions",
    "document",
    "document_url",
    "echo",
    "email",
    "encoding_format",
    "enum",
    "ephemeral",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "file",
    "file_data",
    "file_id",
    "filename",
    "format",
    "frequency_penalty",
    "function",
    "function_call",
    "functions",
    "grammar",
    "high",
    "id",
    "image",
    "image_url",
    "include_usage",
    "input",
    "input_audio",
    "input_text",
    "input_type",
    "integer",
    "items",
    "json_object",
    "json_schema",
    "logit_bias",
    "logprobs",
    "low",
    "maxItems",
    "maxLength",
    "max_completion_tokens",
    "max_tokens",
    "maximum",
    "medium",
    "messages",
    "metadata",
    "minItems",
    "minLength",
    "min_tokens",
    "minimum",
    "modalities",
    "model",
    "multipleOf",
    "n",
    "name",
    "none",
    "not",
    "null",
    "nullable",
    "number",
    "object",
    "oneOf",
    "output_dimension",
    "output_dtype",
    "output_text",
    "parallel_tool_calls",
    "parameters",
    "pattern",
    "patternProperties",
    "prediction",
    "prefixItems",
    "presence_penalty",
    "prompt",
    "prompt_cache_key",
    "properties",
    "random_seed",
    "reasoning",
    "reasoning_content",
    "reasoning_effort",
    "refusal",
    "required",
    "response_format",
    "role",
    "safe_prompt",
    "safety_identifier",
    "schema",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "strict",
    "string",
    "suffix",
    "summary",
    "summary_text",
    "syntax",
    "system",
    "temperature",
    "text",
    "thinking",
    "time",
    "title",
    "tool",
    "tool_call_id",
    "tool_calls",
    "tool_choice",
    "tool_result",
    "tool_use",
    "tools",
    "top_logprobs",
    "top_p",
    "transcript",
    "type",
    "uniqueItems",
    "uri",
    "url",
    "url_citation",
    "user",
    "uuid",
    "verbosity",
    "video",
    "video_url",
    "wav",
    "web_search",
    "web_search_options",
};

bool kt_is_api_word(const struct kt_json *j, uint32_t tok)
{
    struct kt_span raw = kt_json_raw(j, tok);
    if (j->tok[tok].escaped || raw.len <= 2)
        return false;
    size_t low = 0, high = KT_COUNT(words), len = raw.len - 2;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strncmp(raw.data + 1, words[mid], len);
        if (order == 0 && words[mid][len])
            order = -1;
        if (order == 0)
            return true;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

static bool is_base64(const char *text, size_t len)
{
    size_t tail = 0;
    while (tail < 2 && len > 0 && text[len - 1] == '=') {
        len--;
        tail++;
    }
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("+/-_\r\n", text[i]))
            return false;
    return true;
}

/* Shorter ones may be a word, a number, a key. */
#define DATA_MIN 256

bool kt_is_data(const char *text, size_t len)
{
    static const char mark[] = ";base64,";
    if (len < 5 || strncasecmp(text, "data:", 5) != 0)
        return len >= DATA_MIN && is_base64(text, len);
    const char *comma = memchr(text, ',', len);
    size_t head = comma ? (size_t)(comma - text) + 1 : 0;
    size_t n = sizeof mark - 1;
    return head > n && strncasecmp(text + head - n, mark, n) == 0 && is_base64(text + head, len - head);
}

size_t kt_url_host_end(const char *url, size_t len)
{
    if (kt_is_data(url, len))
        return len;
    size_t i = 0;
    while (i < len && (isalnum((unsigned char)url[i]) || (i && strchr("+-.", url[i]))))
        i++;
    if (i == 0 || len - i < 3 || memcmp(url + i, "://", 3) != 0)
        return 0;
    for (i += 3; i < len && !strchr("/?#\\", url[i]); i++)
        if (url[i] == '@')
            return 0;
    return i;
}
