/* SPDX-License-Identifier: Apache-2.0 */
/* One page that needs nothing else: its data is the JSON report, its script draws it. The
 * Content-Security-Policy keeps whatever an event holds from ever becoming a request. */
#include "tools/report.h"
#include "tools/report_page.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static kt_result write_html(const struct report *r, FILE *to)
{
    cJSON *tree = report_tree(r);
    char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    KT_ENSURE(text, KT_ERR_MEMORY);
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'; "
          "script-src 'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n"
          "<title>LLM calls</title>\n<style>\n",
          to);
    fwrite(kt_page_style, 1, kt_page_style_len, to);
    fputs("</style>\n</head>\n", to);
    fwrite(kt_page_body, 1, kt_page_body_len, to);
    fputs("<script type=\"application/json\" id=\"data\">", to);
    /* Inside of a script element only "</" and "<!" end or change anything. */
    events_put_json(text, true, to);
    free(text);
    fputs("</script>\n<script>\n", to);
    fwrite(kt_page_script, 1, kt_page_script_len, to);
    fputs("</script>\n</html>\n", to);
    return ferror(to) ? kt_err(KT_ERR_IO) : kt_ok();
}

const struct kt_report_format kt_report_html = {
    .option = "--html",
    .file = "report.html",
    .help = "one page with charts and tables that needs no network",
    .write = write_html,
};
