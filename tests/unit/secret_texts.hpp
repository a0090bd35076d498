/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Texts for the secret detector. Nothing in them is a secret, and nothing looks like one in this file:
 * `<...>` is filled with random bytes of that shape (as in kt_secret_rule.h) at run time, and is what must be
 * found.
 */
#include <random>
#include <string>
#include <vector>

namespace secret_texts {

inline std::string bytes_of(char name)
{
    const std::string digits = "0123456789", low = "abcdefghijklmnopqrstuvwxyz",
                      up = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    switch (name) {
    case 'd':
        return digits;
    case 'h':
        return digits + "abcdef";
    case 'H':
        return digits + "abcdefABCDEF";
    case 'l':
        return digits + low;
    case 'u':
        return digits + up;
    case 'w':
        return digits + low + up + "_";
    case 'b':
    case 'B':
    case 'e':
        return digits + low + up + "+/";
    default:
        return digits + low + up;
    }
}

/* Random bytes of a shape; `longer` adds to the last item. */
inline std::string fill(const std::string &shape, std::mt19937 &random, int longer = 0)
{
    std::string out;
    for (size_t i = 0; i < shape.size();) {
        std::string from(1, shape[i]);
        if (shape[i] == '\\')
            from = bytes_of(shape[++i]);
        i++;
        size_t n = 1;
        if (i < shape.size() && shape[i] == '{') {
            n = static_cast<size_t>(atoi(shape.c_str() + i + 1));
            i = shape.find('}', i) + 1;
        }
        if (i >= shape.size())
            n += static_cast<size_t>(longer);
        for (; n > 0; n--)
            out += from[random() % from.size()];
    }
    return out;
}

struct Made {
    std::string text, secret; /* secret is empty where nothing may be found */
};

inline Made make(const std::string &pattern, std::mt19937 &random)
{
    Made m;
    for (size_t i = 0; i < pattern.size();) {
        if (pattern[i] != '<') {
            m.text += pattern[i++];
            continue;
        }
        size_t end = pattern.find('>', i);
        m.secret = fill(pattern.substr(i + 1, end - i - 1), random);
        m.text += m.secret;
        i = end + 1;
    }
    return m;
}

/* label, text */
inline const std::vector<std::pair<const char *, const char *>> &found()
{
    static const std::vector<std::pair<const char *, const char *>> texts = {
        {"aws-secret-key", "aws_secret_access_key = <\\b{40}>"},
        {"aws-secret-key", "\"AWS_SECRET_ACCESS_KEY\": \"<\\b{40}>\","},
        {"aws-secret-key", "my aws secret access key is <\\b{40}>"},
        {"password", "variable \"db_password\" {\n  type = string\n  default = \"<Tr\\d{2}b\\l{5}3>\"\n}"},
        {"token", "variable \"api_token\" {\n  default = \"<\\a{40}>\"\n}"},
        {"aws-session-token", "export AWS_SESSION_TOKEN=<\\b{200}>\n"},
        {"mistral-key", "MISTRAL_API_KEY=<\\a{32}>"},
        {"mistral-key", "mistral api key: <\\a{32}>."},
        {"heroku-key", "heroku_key = \"<\\h{8}-\\h{4}-\\h{4}-\\h{4}-\\h{12}>\""},
        {"twilio-key", "twilio_auth_token = \"<\\h{32}>\""},
        {"mailchimp-key", "mailchimp_key: \"<\\h{32}-us12>\""},
        {"datadog-key", "DD_API_KEY=<\\h{32}>"},
        {"datadog-key", "datadog_app_key: \"<\\h{40}>\""},
        {"okta-token", "okta_api_token = \"<00\\a{40}>\""},
        {"snyk-key", "snyk_token=<\\h{8}-\\h{4}-\\h{4}-\\h{4}-\\h{12}>"},
        {"wandb-key", "WANDB_API_KEY=<\\h{40}>"},
        {"algolia-key", "algoliaApiKey = '<\\l{32}>';"},
        {"npm-token", "//registry.example.com/:_authToken=<\\h{8}-\\h{4}-\\h{4}-\\h{4}-\\h{12}>"},
        {"wireguard-key", "PrivateKey = <\\b{43}=>\n"},
        {"discord-token", "DISCORD_TOKEN=\"<M\\a{23}.\\a{6}.\\a{27}>\""},
        {"telegram-token", "123456789:<AA\\a{33}>"},
        {"password", "password = \"<Tr\\d{2}b\\l{5}&3>\""},
        {"password", "PASSWORD=<hx\\d{2}ter\\l{4}>"},
        {"password", "{\"name\":\"DB_PASSWORD\",\"value\":\"<k8\\a{7}1>\"}"},
        {"password", "mysqldump --password <Gh\\d{3}kq\\l{3}>"},
        {"password", "machine api.x login bob password <Gz7\\l{4}1>"},
        {"password", "my password is <Xk9m\\d{2}Pq2z>"},
        {"password", "mon mot de passe est <Xk9m\\d{2}Pq2z>"},
        {"password", "mein Passwort lautet <Xk9m\\d{2}Pq2z>"},
        {"password", "Server=x;Uid=a;Pwd=<G7h\\d{2}kqz>;"},
        {"password", "set_password(\"<k8Sd\\d{2}x1>\")"},
        {"password", "args: {\\\"password\\\": \\\"<k8Sd\\d{2}x1>\\\"}"},
        {"password", "The password is <Tr\\d{2}ub\\d{2}r&\\d{1}> for now"},
        {"password", "password=<Tr\\d{2}ub\\d{2}r>&user=bob"},
        {"password", "La password \xc3\xa8 <Xk9m\\d{2}Pq2z>"},
        {"password", "credentials { username 'x' password '<Xk9m\\d{2}Pq2z>' }"},
        {"password", "ConvertTo-SecureString \"<Xk9m\\d{2}Pq2z>\" -AsPlainText"},
        {"password", "SSH_PASS: <dfkWNVkQfmPd>"},
        {"password", "pw: <S\\d{2}r3t!Pq>"},
        {"password-option", "sshpass -p <Xk9m\\d{2}Pq2z> ssh x"},
        {"password-option", "mysql -u root -p<Xk9m\\d{2}Pq2z> db"},
        {"password-option", "docker login -u a -p '<Xk9m\\d{2}Pq2z>' r"},
        {"token", "auth_token: <x\\d{4}kq\\d{4}zv\\d{4}>"},
        {"token", "use token <\\h{40}> to log in"},
        {"token", "setx API_TOKEN \"<\\a{32}>\""},
        {"secret", "SHARED_SECRET: \"<kq\\d{2}hf\\d{2}lskd\\d{2}jf>\""},
        {"session", "Cookie: sessionid=<\\l{32}>"},
        {"azure-client-secret", "see a7B<8Q~\\a{34}>."},
        {"azure-function-key", "https://x.example/api/f?<code=\\a{54}==>"},
        {"salesforce-token", "sid 00D5f0000012345<!AQ\\a{90}>"},
        {"discord-token", "<MTk4\\a{20}.\\a{6}.\\a{27}>"},
        {"private-key",
         "PuTTY-User-Key-File-3: ssh-ed25519\n<Private-Lines: 1\n\\b{48}\nPrivate-MAC: \\h{64}>\n"},
        {"key", "const apiKey = '<\\a{32}>';"},
        {"secret", "client_secret=<\\a{32}>&grant_type=x"},
        {"secret", "let secret: &str = \"<\\a{28}>\";"},
        {"token", "os.environ[\"API_TOKEN\"] = \"<\\a{24}>\""},
        {"token", "ENV API_TOKEN <\\a{30}>\n"},
        {"authorization", "Authorization: Bearer <\\a{40}>"},
        {"url-password", "postgres://svc:<\\a{10}>@db.internal:5432/app"},
        {"url-password", "mongodb+srv://admin:<\\a{12}>@c0.example.net/db"},
        {"url-password", "redis://:<\\a{16}>@cache:6379/0"},
        {"login-option", "curl -u bob:<Tr\\d{2}x\\l{4}3> https://x.y"},
        {"private-key",
         "<-----BEGIN RSA PRIVATE KEY-----\n\\b{64}\n\\b{64}\n-----END RSA PRIVATE KEY----->\n"},
        {"private-key",
         "\"private_key\": \"<-----BEGIN PRIVATE KEY-----\\n\\b{90}\\n-----END PRIVATE KEY----->\\n\""},
        {"private-key", "<-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
                        "AES-128-CBC,\\u{32}\n\n\\b{64}\n-----END "
                        "EC PRIVATE KEY----->"},
        {"private-key", "<-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: x\n\n\\b{64}\n=ab12\n-----END PGP "
                        "PRIVATE KEY BLOCK----->"},
        {"private-key", "cut: <-----BEGIN OPENSSH PRIVATE KEY-----\n\\b{64}\n\\b{30}>"},
    };
    return texts;
}

/* Near misses and everyday text. Filled the same way; nothing may be found. */
inline const std::vector<const char *> &innocent()
{
    static const std::vector<const char *> texts = {
        "api_key = \"your-api-key\"",
        "API_KEY=xxxxxxxxxxxxxxxxxxxx",
        "password: ${DB_PASSWORD}",
        "password = os.environ[\"PW\"]",
        "password=changeme",
        "token = get_token()",
        "secret = config.secret",
        "key = \"primary_key_name\"",
        "key: users/<\\h{8}-\\h{4}-\\h{4}-\\h{4}-\\h{12}>/avatar.png",
        "variable \"password\" {\n  type = string\n  sensitive = true\n}",
        "AKIAIOSFODNN7EXAMPLE",
        "commit <\\h{40}>",
        "sha256: <\\h{64}>",
        "\"integrity\": \"sha512-<\\b{86}>==\"",
        "\"shasum\": \"<\\h{40}>\"",
        "id: <\\h{8}-\\h{4}-\\h{4}-\\h{4}-\\h{12}>",
        "data:image/png;base64,<\\b{300}>",
        "def password_reset(token): return token",
        "the password is required",
        "Your token is invalid",
        "password must be at least 12 characters",
        "token_type: bearer",
        "secretName: my-tls-secret-2",
        "keyboard: us-intl-105",
        "https://user:password@host/",
        "http://user:pass@example.com",
        "https://example.com:8080/path@x",
        "public_key = \"<\\b{60}>\"",
        "-----BEGIN PUBLIC KEY-----\\n<\\b{120}>\\n-----END PUBLIC KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\\n...\\n-----END RSA PRIVATE KEY-----",
        "password: \"string\"",
        "\"password\": \"Enter password here\"",
        "cache_key = \"user:1234:profile:v2\"",
        "nextToken: <\\b{60}>",
        "csrf_token=<\\h{32}>",
        "secret: projects/1234/secrets/db-pass/versions/3",
        "api_key = null",
        "password = None",
        "apiKey: string;",
        "PASSWORD_HASH_ROUNDS=12",
        "ACCESS_TOKEN_EXPIRE_MINUTES=10080",
        "max_tokens=4096",
        "tokenizer: cl100k_base",
        "auth: oauth2",
        "passport=jwt-strategy-2",
        "key: \"Ctrl+Shift+F12\"",
        "password = input(\"Password: \")",
        "if password == \"\": raise",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer YOUR_TOKEN",
        "bearer of good news 2024",
        "docker run -p 8080:80 nginx:1.25",
        "mysql -u root -p mydb2024",
        "mysql -P 3306 -h db1",
        "mkdir -p src/main/java8",
        "sqlcmd -S host -P %PW%",
        "use token bucket algorithm v2",
        "please use token authentication_with_oauth2_flow_here now",
        "psk = \"WPA2-PSK\"",
        "password_encryption = scram-sha-256",
        "the \"password\" 'field' is required",
        "password 'is required'",
        "pull --rebase did not pass \"-v/-q\" on",
        "password=getUserPasswordFromStdin",
        "resources in us-east-1 and -us2",
        "Private-Lines: 3",
        "NTLM MTU 1500, MTA.example.org",
        "<\\a{20}>AZDO1234",
        "github: https://github.com/a/b",
        "github sha <\\h{40}>",
        "docker image sha256:<\\h{64}>",
        "pass 1 of 3",
        "secretary: Jane Doe",
        "compass=north12345",
        "ask-me-anything-about-things",
        "task-management-software-2024",
        "password: ********",
        "token: \"1234567890\"",
        "pwd: /home/user1/dir2",
        "xoxb-your-token-here",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "hf_token",
        "passphrase = \"correct horse battery staple\"",
        "md5: <\\h{32}>",
        "etag \"<\\h{32}>\"",
        "credentials: \"include\"",
        "\"key\": \"item-12345\"",
        "uses: actions/checkout@<\\h{40}>",
        "password=%(password)s",
        "password={{ db_password }}",
        "aws region us-east-1 key pair name kp-2024",
        "-u 1000:1000",
        "eyJhbGciOiJIUzI1NiJ9",
        "The secret of a good meal is time, and the key to the door is under the mat.",
        "He passed the token ring exam; the bearer: a man of 42.",
    };
    return texts;
}

} // namespace secret_texts
