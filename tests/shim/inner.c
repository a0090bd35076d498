/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin: found by the RUNPATH of its host, opened with RTLD_DEEPBIND. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

void inner_resolve(const char *host, char *out, size_t size);

__attribute__((visibility("default"))) void inner_resolve(const char *host, char *out, size_t size)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    snprintf(out, size, "-");
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return;
    getnameinfo(list->ai_addr, list->ai_addrlen, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
}
