// SPDX-License-Identifier: Apache-2.0
// java Chat.java client|url: java.net.http.HttpClient, or HttpsURLConnection.
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Chat {
    static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null ? otherwise : v;
    }

    static int status;
    static String text;

    static String read(InputStream in) throws Exception {
        StringBuilder all = new StringBuilder();
        BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null;)
            all.append(line).append('\n');
        return all.toString();
    }

    /** Without a JSON library: the last event is [DONE], and the pieces of content follow each other. */
    static String streamed(String text) {
        StringBuilder content = new StringBuilder();
        Matcher m = Pattern.compile("\"content\": ?\"([^\"]*)\"").matcher(text);
        while (m.find())
            content.append(m.group(1));
        return ",\"done\":" + text.strip().endsWith("data: [DONE]") + ",\"text\":\"" + content + "\"}";
    }

    static void byClient(HttpClient client, String url, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30))
            .header("Authorization", "Bearer sk-program-key-0001").header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<InputStream> response = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
        status = response.statusCode();
        text = read(response.body());
    }

    static void byUrl(String url, String body) throws Exception {
        HttpURLConnection c = (HttpURLConnection) new URL(url).openConnection();
        c.setReadTimeout(30000);
        c.setRequestMethod("POST");
        c.setRequestProperty("Authorization", "Bearer sk-program-key-0001");
        c.setRequestProperty("Content-Type", "application/json");
        c.setDoOutput(true);
        c.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
        status = c.getResponseCode();
        try (InputStream in = status < 400 ? c.getInputStream() : c.getErrorStream()) {
            text = read(in);
        }
    }

    public static void main(String[] args) throws Exception {
        String url = env("KT_TEST_URL", "https://api.openai.com/v1/chat/completions");
        String prompt = env("KT_TEST_PROMPT", "Write to alice.jones@example.org, card 4111 1111 1111 1111.");
        boolean stream = env("KT_TEST_STREAM", "").equals("1");
        String body = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" + prompt
            + "\"}],\"store\":false,\"max_completion_tokens\":64,\"stream\":" + stream + "}";
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < Integer.parseInt(env("KT_TEST_CALLS", "1")); i++) {
            if (args[0].equals("client"))
                byClient(client, url, body);
            else
                byUrl(url, body);
        }
        System.out.println("{\"status\":" + status + (stream ? streamed(text) : ",\"body\":" + text + "}"));
    }
}
