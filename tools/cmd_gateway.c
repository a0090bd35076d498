/* SPDX-License-Identifier: Apache-2.0 */
/* kt gateway run: the engine behind a listener. */
#include "tools/gateway_args.h"
#include "tools/gateway_serve.h"

#include <stdio.h>
#include <string.h>

extern const struct kt_command kt_cmd_gateway;

static int run(int argc, char **argv)
{
    struct gateway_args a = {0};
    if (argc < 2 || strcmp(argv[1], "run") != 0)
        return kt_usage_error(&kt_cmd_gateway, "the command is: kt gateway run [options]");
    int status = gateway_args_parse(&kt_cmd_gateway, &a, argc - 1, argv + 1);
    if (status == KT_EXIT_OK)
        status = gateway_serve(&kt_cmd_gateway, &a);
    gateway_args_free(&a);
    return status;
}

static const char usage[] =
    "usage: kt gateway run --policy-config F [options]\n"
    "\n"
    "Serves the OpenAI API on /v1 with the policies, targets and audit log of a policy config, for programs\n"
    "that kt wrap cannot reach: point their base URL here. Also /healthz, /readyz (503 until a target can "
    "be\n"
    "used), /metrics (Prometheus) and /v1/models.\n"
    "\n"
    "  --policy-config F    repeatable, later files layered on top; default KT_POLICY_CONFIG, or\n"
    "                       ./policy-config.yaml. A changed file is\n"
    "                       taken in within a second; SIGHUP reads all files and the certificate at once\n"
    "  --listen ADDR:PORT   default 127.0.0.1:8080; port 0 is a free one\n"
    "  --api-token T        a token that clients must show ('Authorization: Bearer T'); repeatable. Others "
    "can\n"
    "                       read it in the list of processes: better KT_GATEWAY_TOKEN, or\n"
    "  --api-token-file F   one token per line; '#' begins a comment\n"
    "  --tls-cert F         HTTPS only, with this certificate (PEM, chain included)\n"
    "  --tls-key F          and its key\n"
    "  --fail-mode M        block or allow; default: the config's\n"
    "  --max-concurrency N  calls at a time (default 1024); more get 503 with Retry-After\n"
    "  --threads N          event threads; default: one per CPU, at most 8\n"
    "  --drain-seconds N    how long calls under way may go on after SIGTERM or SIGINT (default 30); a "
    "second\n"
    "                       signal ends them at once\n"
    "  --port-file F        writes the port there once connections are accepted\n"
    "  --state-dir D        default KT_STATE_DIR\n"
    "\n"
    "The program's own key does not go upstream: each target brings its own. The first line on stdout is\n"
    "'kt gateway: listening on http://127.0.0.1:8080'.\n"
    "\n"
    "exit status: 0 when stopped, 2 usage or config error, or it cannot listen\n";

const struct kt_command kt_cmd_gateway = {
    .name = "gateway",
    .summary = "serve the policies and targets over HTTP, for what cannot be wrapped",
    .usage = usage,
    .run = run,
};
