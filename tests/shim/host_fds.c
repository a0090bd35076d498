/* SPDX-License-Identifier: Apache-2.0 */
/* A rude program: closes every fd that it does not know, after its connection was diverted. argv[1] names
 * how. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int still_works(int fd)
{
    char buf[64];
    if (write(fd, "echo alive\n", 11) != 11)
        return 0;
    ssize_t n = read(fd, buf, sizeof buf);
    return n == 11 && memcmp(buf, "echo alive\n", 11) == 0;
}

/* The engine's end, as the log of the fake engine names it. */
static int engine_fd(void)
{
    char line[256];
    int fd = -1;
    FILE *f = fopen(getenv("KT_FAKE_LOG"), "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, " fd ");
        if (strncmp(line, "adopt", 5) == 0 && at)
            fd = atoi(at + 4);
    }
    if (f)
        fclose(f);
    return fd;
}

static void say(const char *what, int rc, const char *why, int want)
{
    printf("%s %d %s %d\n", what, rc, why, errno == want);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo("api.openai.com", "443", &hints, &list) != 0)
        return 3;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, list->ai_addr, list->ai_addrlen) != 0)
        return 4;
    freeaddrinfo(list);
    int theirs = engine_fd();
    printf("engine fd high %d\n", theirs > fd + 100);
    if (strcmp(how, "close") == 0)
        for (int i = fd + 1; i < 4096; i++)
            close(i);
    else if (strcmp(how, "close_range") == 0)
        printf("close_range %d\n", close_range((unsigned)fd + 1, ~0u, 0));
    else if (strcmp(how, "closefrom") == 0)
        closefrom(fd + 1);
    else if (strcmp(how, "dup2") == 0)
        say("dup2", dup2(1, theirs), "busy", EBUSY);
    else if (strcmp(how, "dup3") == 0)
        say("dup3", dup3(1, theirs, 0), "busy", EBUSY);
    else if (strcmp(how, "one") == 0)
        say("close", close(theirs), "ebadf", EBADF);
    printf("works %d\n", still_works(fd));
    int mine = dup2(1, fd + 7);
    printf("own dup2 %d close %d\n", mine == fd + 7, close(mine));
    return 0;
}
