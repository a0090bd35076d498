<?php // SPDX-License-Identifier: Apache-2.0
// php php_chat.php curl|streams
$url = getenv('KT_TEST_URL') ?: 'https://api.openai.com/v1/chat/completions';
$prompt = getenv('KT_TEST_PROMPT') ?: 'Write to alice.jones@example.org, card 4111 1111 1111 1111.';
$stream = getenv('KT_TEST_STREAM') === '1';
$body = json_encode(['model' => 'gpt-4o', 'messages' => [['role' => 'user', 'content' => $prompt]], 'store' => false,
    'max_completion_tokens' => 64, 'stream' => $stream]);
$headers = ['Authorization: Bearer sk-program-key-0001', 'Content-Type: application/json'];

function by_curl($url, $body, $headers, &$status) {
    static $c = null;
    $c ??= curl_init();
    curl_setopt_array($c, [CURLOPT_URL => $url, CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers, CURLOPT_TIMEOUT => 30,
        CURLOPT_WRITEFUNCTION => function ($c, $piece) use (&$text) {
            $text .= $piece;
            return strlen($piece);
        }]);
    $text = '';
    if (!curl_exec($c)) {
        fwrite(STDERR, curl_error($c) . "\n");
    }
    $status = curl_getinfo($c, CURLINFO_RESPONSE_CODE);
    return $text;
}

function by_streams($url, $body, $headers, &$status) {
    $context = stream_context_create(['http' => ['method' => 'POST', 'header' => implode("\r\n", $headers), 'content' => $body,
        'ignore_errors' => true, 'timeout' => 30]]);
    $text = '';
    for ($in = fopen($url, 'r', false, $context); $in && !feof($in);) {
        $text .= fgets($in);
    }
    $status = (int) explode(' ', $http_response_header[0] ?? '0 0')[1];
    return $text;
}

$status = 0;
for ($i = 0; $i < (int) (getenv('KT_TEST_CALLS') ?: 1); $i++) {
    $text = $argv[1] === 'curl' ? by_curl($url, $body, $headers, $status) : by_streams($url, $body, $headers, $status);
}
$result = ['status' => $status];
if ($stream) {
    preg_match_all('/^data: (.*)$/m', $text, $events);
    $result['done'] = array_pop($events[1]) === '[DONE]';
    $result['text'] = implode('', array_map(fn ($e) => json_decode($e)->choices[0]->delta->content ?? '', $events[1]));
} else {
    $result['body'] = json_decode($text);
}
echo json_encode($result), "\n";
