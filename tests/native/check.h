/* A test program: TEST(name) registers itself, CHECK and CHECK_EQUAL end the program with the place and the values. */
#ifndef OPENTAS_CHECK_H
#define OPENTAS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*run)(void);
};
static struct check_test check_tests[64];
static unsigned check_count;

#define TEST(name)                                                                                                     \
    static void name(void);                                                                                            \
    __attribute__((constructor)) static void check_register_##name(void) {                                             \
        check_tests[check_count++] = (struct check_test){#name, name};                                                 \
    }                                                                                                                  \
    static void name(void)

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_EQUAL(found, wanted)                                                                                     \
    do {                                                                                                               \
        long long check_found = (long long)(found), check_wanted = (long long)(wanted);                                \
        if (check_found != check_wanted) {                                                                             \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, check_found, check_wanted);   \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

int main(int count, char **names) {
    for (unsigned i = 0; count == 2 && i < check_count; i++)
        if (strcmp(check_tests[i].name, names[1]) == 0) {
            check_tests[i].run();
            return 0;
        }
    fprintf(stderr, "one argument, the name of a test\n");
    return 2;
}

#endif
