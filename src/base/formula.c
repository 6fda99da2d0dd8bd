/* formula.c - a recursive descent over the grammar of formula.h. */
#include "base/formula.h"

#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64 /* parentheses and powers within each other */

typedef struct parser {
    const char *at, *end;
    vox_formula_find *find;
    void *from;
    char *unknown;
    int depth;
    vox_error *err;
} parser;

static bool sum(parser *p, double *out);

static bool wrong(parser *p, const char *what)
{
    vox_fail(p->err, VOX_ERR_INPUT, "%s", what);
    return false;
}

static void skip_spaces(parser *p)
{
    while (p->at < p->end && isspace((unsigned char)*p->at))
        p->at++;
}

static bool take(parser *p, const char *sign)
{
    const size_t n = strlen(sign);
    skip_spaces(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, sign, n) != 0)
        return false;
    p->at += n;
    return true;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool number(parser *p, double *out)
{
    char digits[40];
    size_t n = 0;
    while (p->at + n < p->end && (isdigit((unsigned char)p->at[n]) || p->at[n] == '.'))
        n++;
    if (n >= sizeof digits)
        return wrong(p, "a number is too long");
    memcpy(digits, p->at, n);
    digits[n] = '\0';
    p->at += n;
    if (!vox_parse_double(digits, out) || (p->at < p->end && is_word(*p->at)))
        return wrong(p, "expected a number such as 3 or 0.5");
    return true;
}

static bool name(parser *p, double *out)
{
    size_t n = 0;
    while (p->at + n < p->end && is_word(p->at[n]))
        n++;
    const char *word = p->at;
    p->at += n;
    if (p->find(p->from, word, n, out))
        return true;
    snprintf(p->unknown, 64, "%.*s", (int)(n < 63 ? n : 63), word);
    return wrong(p, "unknown name");
}

static bool atom(parser *p, double *out)
{
    skip_spaces(p);
    if (p->at == p->end)
        return wrong(p, "the formula ends where a number or a name should follow");
    if (isdigit((unsigned char)*p->at) || *p->at == '.')
        return number(p, out);
    if (is_word(*p->at))
        return name(p, out);
    if (!take(p, "("))
        return wrong(p, "expected a number, a name or (");
    return sum(p, out) && (take(p, ")") || wrong(p, "a ) is missing"));
}

static bool power(parser *p, double *out)
{
    double exponent;
    if (++p->depth > MAX_DEPTH)
        return wrong(p, "the formula is nested too deeply");
    const bool minus = take(p, "-");
    bool ok = minus ? power(p, out) : atom(p, out);
    if (ok && !minus && take(p, "^")) {
        ok = power(p, &exponent);
        if (ok)
            *out = pow(*out, exponent);
    }
    if (minus)
        *out = -*out;
    p->depth--;
    return ok;
}

static bool product(parser *p, double *out)
{
    double b;
    if (!power(p, out))
        return false;
    for (;;) {
        const bool floored = take(p, "//"), over = floored || take(p, "/");
        const bool rest = !over && take(p, "%");
        if (!over && !rest && !take(p, "*"))
            return true;
        if (!power(p, &b))
            return false;
        if ((over || rest) && b == 0)
            return wrong(p, "a division by zero");
        *out = floored ? floor(*out / b)
               : over  ? *out / b
               : rest  ? *out - b * floor(*out / b)
                       : *out * b;
    }
}

static bool sum(parser *p, double *out)
{
    double b;
    if (!product(p, out))
        return false;
    for (;;) {
        const bool minus = take(p, "-");
        if (!minus && !take(p, "+"))
            return true;
        if (!product(p, &b))
            return false;
        *out += minus ? -b : b;
    }
}

vox_status vox_formula(const char *text, size_t length, vox_formula_find *find, void *from,
                       double *out, char unknown[64], vox_error *err)
{
    parser p = {text, text + length, find, from, unknown, 0, err};
    unknown[0] = '\0';
    *out = 0;
    if (!sum(&p, out))
        return VOX_ERR_INPUT;
    skip_spaces(&p);
    if (p.at < p.end)
        wrong(&p, "expected an operator: + - * / // % ^");
    else if (!isfinite(*out))
        wrong(&p, "the result is no number");
    else
        return VOX_OK;
    return VOX_ERR_INPUT;
}
