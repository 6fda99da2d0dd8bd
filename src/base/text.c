/* text.c - words: strict numbers and "did you mean". */
#define _GNU_SOURCE
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool only_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return *p == '\0';
}

bool vox_parse_i64(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || errno != 0 || !only_space(end))
        return false;
    *out = v;
    return true;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool vox_parse_double(const char *text, double *out)
{
    char *end;
    pthread_once(&c_locale_once, make_c_locale);
    errno = 0;
    double v = c_locale ? strtod_l(text, &end, c_locale) : strtod(text, &end);
    if (end == text || (errno == ERANGE && v != 0 && (v > 1 || v < -1)) || !only_space(end))
        return false;
    *out = v;
    return true;
}

int vox_parse_list(const char *text, int64_t *out, int most)
{
    char one[32];
    for (int count = 0; count < most; count++) {
        const size_t length = strcspn(text, ",");
        if (length >= sizeof one)
            return 0;
        memcpy(one, text, length);
        one[length] = '\0';
        if (!vox_parse_i64(one, &out[count]))
            return 0;
        if (text[length] == '\0')
            return count + 1;
        text += length + 1;
    }
    return 0;
}

#define WORD_MAX 48

static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[WORD_MAX + 1];
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *vox_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, least = limit + 1;
    for (; *candidates; candidates++) {
        size_t d = edit_distance(word, *candidates);
        if (d < least) {
            least = d;
            best = *candidates;
        }
    }
    return best;
}
