// SPDX-License-Identifier: Apache-2.0
// java Chat.java client|url: java.net.http.HttpClient, or HttpsURLConnection.
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

public class Chat {
    static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null ? otherwise : v;
    }

    static int status;
    static String text;

    static void byClient(HttpClient client, String url, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30))
            .header("Authorization", "Bearer sk-program-key-0001").header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
        status = response.statusCode();
        text = response.body();
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
            text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] args) throws Exception {
        String url = env("KT_TEST_URL", "https://api.openai.com/v1/chat/completions");
        String prompt = env("KT_TEST_PROMPT", "Write to alice.jones@example.org, card 4111 1111 1111 1111.");
        String body = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"" + prompt
            + "\"}],\"store\":false,\"max_completion_tokens\":64}";
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < Integer.parseInt(env("KT_TEST_CALLS", "1")); i++) {
            if (args[0].equals("client"))
                byClient(client, url, body);
            else
                byUrl(url, body);
        }
        System.out.println("{\"status\":" + status + ",\"body\":" + text + "}");
    }
}
