/* test.h - cmocka with its includes, and one check of a status. */
#ifndef VOX_TEST_H
#define VOX_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "voxcl.h"

/* Passes if the call succeeded, else fails the test with the error's text. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        vox_status status_ = (call);                                                               \
        if (status_ != VOX_OK)                                                                     \
            fail_msg("%s: status %d: %s | %s | %s", #call, (int)status_, err.message, err.detail,  \
                     err.hint);                                                                    \
    } while (0)

/* Passes if the call failed with `code` and its message or detail has `word`. */
#define assert_error(call, code_, word)                                                            \
    do {                                                                                           \
        memset(&err, 0, sizeof err);                                                               \
        vox_status status_ = (call);                                                               \
        assert_int_equal(status_, code_);                                                          \
        if (!strstr(err.message, word) && !strstr(err.detail, word))                               \
            fail_msg("%s: no \"%s\" in: %s | %s", #call, word, err.message, err.detail);           \
        assert_true(err.message[0] != '\0');                                                       \
    } while (0)

#endif
