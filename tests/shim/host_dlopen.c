/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>

int main(void)
{
    char addr[64];
    void *h = dlopen("libktinner.so", RTLD_NOW | RTLD_DEEPBIND);
    if (!h) {
        printf("dlopen: %s\n", dlerror());
        return 1;
    }
    void (*resolve)(const char *, char *, size_t);
    *(void **)&resolve = dlsym(h, "inner_resolve");
    resolve("api.openai.com", addr, sizeof addr);
    printf("inner sees %s\n", addr);
    printf("dlclose %d\n", dlclose(h));
    return dlopen("libkt-does-not-exist.so", RTLD_NOW) == NULL ? 0 : 2;
}
