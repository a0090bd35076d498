<?php // SPDX-License-Identifier: Apache-2.0
// php php_chat.php curl|streams: KT_TEST_CALLS calls, the last one reported; with KT_TEST_AT_ONCE = N one plain, one streamed, and N at once,
// by curl_multi, or each in a forked process.
$url = getenv('KT_TEST_URL') ?: 'https://api.openai.com/v1/chat/completions';
$prompt = getenv('KT_TEST_PROMPT') ?: 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
$headers = ['Authorization: Bearer sk-program-key-0001', 'Content-Type: application/json'];

function body($prompt, $stream) {
    return json_encode(['model' => 'gpt-4o', 'messages' => [['role' => 'user', 'content' => $prompt]], 'store' => false,
        'max_completion_tokens' => 64, 'stream' => $stream]);
}

function prepared($c, $body) {
    global $url, $headers;
    curl_setopt_array($c, [CURLOPT_URL => $url, CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers, CURLOPT_TIMEOUT => 30]);
    return $c;
}

function by_curl($body) {
    static $c = null;
    $text = '';
    prepared($c ??= curl_init(), $body);
    curl_setopt($c, CURLOPT_WRITEFUNCTION, function ($c, $piece) use (&$text) {
        $text .= $piece;
        return strlen($piece);
    });
    if (!curl_exec($c)) {
        fwrite(STDERR, curl_error($c) . "\n");
    }
    return [curl_getinfo($c, CURLINFO_RESPONSE_CODE), $text];
}

function by_streams($body) {
    global $url, $headers;
    $context = stream_context_create(['http' => ['method' => 'POST', 'header' => implode("\r\n", $headers), 'content' => $body,
        'ignore_errors' => true, 'timeout' => 30]]);
    $text = '';
    for ($in = fopen($url, 'r', false, $context); $in && !feof($in);) {
        $text .= fgets($in);
    }
    return [(int) explode(' ', $http_response_header[0] ?? '0 0')[1], $text];
}

function by_multi($n, $body) {
    $multi = curl_multi_init();
    for ($i = 0; $i < $n; $i++) {
        $all[$i] = prepared(curl_init(), $body);
        curl_setopt($all[$i], CURLOPT_RETURNTRANSFER, true);
        curl_multi_add_handle($multi, $all[$i]);
    }
    do {
        curl_multi_exec($multi, $running);
        curl_multi_select($multi);
    } while ($running);
    return array_map(fn ($c) => curl_getinfo($c, CURLINFO_RESPONSE_CODE), $all);
}

function by_forks($n, $body) {
    for ($i = 0; $i < $n; $i++) {
        if (($pids[$i] = pcntl_fork()) === 0) {
            exit(by_streams($body)[0] === 200 ? 0 : 1);
        }
    }
    foreach ($pids as $i => $pid) {
        pcntl_waitpid($pid, $status);
        $all[$i] = $status === 0 ? 200 : 0;
    }
    return $all;
}

function call($stream) {
    global $argv, $prompt;
    [$status, $text] = $argv[1] === 'curl' ? by_curl(body($prompt, $stream)) : by_streams(body($prompt, $stream));
    $result = ['status' => $status];
    if ($stream) {
        preg_match_all('/^data: (.*)$/m', $text, $events);
        $result['done'] = array_pop($events[1]) === '[DONE]';
        $result['text'] = implode('', array_map(fn ($e) => json_decode($e)->choices[0]->delta->content ?? '', $events[1]));
    } else {
        $result['body'] = json_decode($text);
    }
    return $result;
}

if ($n = (int) getenv('KT_TEST_AT_ONCE')) {
    $result = ['plain' => call(false), 'stream' => call(true)];
    $many = body("$prompt, at once", false);
    $result['at_once'] = $argv[1] === 'curl' ? by_multi($n, $many) : by_forks($n, $many);
} else {
    for ($i = 0; $i < (int) (getenv('KT_TEST_CALLS') ?: 1); $i++) {
        $result = call(getenv('KT_TEST_STREAM') === '1');
    }
}
echo json_encode($result), "\n";
