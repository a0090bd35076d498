#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# chat.sh curl|wget [OPTION...]: one plain call, one streamed, KT_TEST_AT_ONCE at once: from one curl, or from as many wgets.
client=$1 && shift
url=${KT_TEST_URL:-https://api.openai.com/v1/chat/completions}
key='Authorization: Bearer sk-program-key-0001' json='Content-Type: application/json'
body() { printf '{"model":"gpt-4o","messages":[{"role":"user","content":"%s"}],"store":false,"max_completion_tokens":64,"stream":%s}' "$1" "$2"; }
if [ "$client" = curl ]; then
    one() { curl -sS "$@" -o "$file" -H "$key" -H "$json" -d "$data" "$url"; }
    many() {
        n=$1 && shift
        for i in $(seq "$n"); do
            [ "$i" = 1 ] || set -- "$@" --next
            set -- "$@" -sS $options -o "many$i" -H "$key" -H "$json" -d "$data" "$url"
        done
        curl -Z $together --parallel-max "$n" "$@" 2>/dev/null
    }
else
    one() { wget -q -T 30 -t 1 "$@" -O "$file" --header "$key" --header "$json" --post-data "$data" "$url"; }
    many() { seq "$1" | xargs -P "$1" -I% wget -q -T 30 -t 1 $options -O many% --header "$key" --header "$json" --post-data "$data" "$url"; }
fi
[ "$client" = wget ] && [ -n "$KT_TEST_CA" ] && set -- "$@" --ca-certificate "$KT_TEST_CA" # GnuTLS has no variable for it
options=$* together=--parallel-immediate
case $options in *--http2*) together= ;; esac # over HTTP/2 they share a connection
data=$(body "$KT_TEST_PROMPT" false) file=plain && one "$@" || exit 2
data=$(body "$KT_TEST_PROMPT" true) file=stream && one "$@" || exit 3
data=$(body "$KT_TEST_PROMPT, at once" false) && many "$KT_TEST_AT_ONCE" || exit 4
text=$(sed -n 's/^data: .*"content": *"\([^"]*\)".*/\1/p' stream | tr -d '\n')
done=$(tail -n 2 stream | tr -d '\r\n')
ok=$(grep -l '"object": *"chat.completion"' many* | wc -l)
printf '{"plain":{"status":200,"body":%s},"stream":{"status":200,"done":%s,"text":"%s"},"at_once":[' "$(cat plain)" "$([ "$done" = 'data: [DONE]' ] && echo true)" "$text"
printf '%s]}\n' "$(seq "$ok" | sed 's/.*/200/' | paste -sd,)"
