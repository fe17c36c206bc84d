/* C only (it is run as such): loads the library by hand, uses it, and closes it: it stays, as its threads may run. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef const char *(*version_fn)(void);
typedef int (*set_log_fn)(void *, void *, void *, int);

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    version_fn version;
    set_log_fn set_log;
    if (library == NULL) {
        printf("dlopen: %s\n", dlerror());
        return 1;
    }
    *(void **)&version = dlsym(library, "aq_version");
    *(void **)&set_log = dlsym(library, "aq_set_log");
    if (version == NULL || set_log == NULL || set_log(NULL, NULL, NULL, 2) != 0)
        return 1;
    if (dlclose(library) != 0)
        return 1;
    /* -z nodelete: the code is still there */
    return strlen(version()) >= 5 ? 0 : 1;
}
