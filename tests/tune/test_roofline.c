/* test_roofline.c - the picture: letters, lines, points in their places, and the file. */
#include "test.h"

#include "base/canvas.h"
#include "base/file.h"
#include "tune/roofline.h"

#include <unistd.h>

static vox_error err;
static char path[] = "/tmp/voxcl-roofline-XXXXXX";

static int count_dark(const vox_canvas *c, int x0, int y0, int x1, int y1)
{
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            n += c->rgb[3 * (y * c->width + x)] < 128;
    return n;
}

static void lines_and_letters_are_drawn(void **state)
{
    (void)state;
    const vox_colour black = {0, 0, 0};
    vox_canvas c;
    assert_ok(vox_canvas_init(&c, 60, 40, &err));
    assert_int_equal(count_dark(&c, 0, 0, 60, 40), 0);
    vox_canvas_line(&c, 5, 10, 24, 10, 1, 0, black);
    assert_int_equal(count_dark(&c, 0, 0, 60, 40), 20);
    vox_canvas_line(&c, 5, 20, 24, 20, 1, 5, black); /* half of it */
    assert_in_range(count_dark(&c, 0, 15, 60, 25), 9, 12);
    vox_canvas_text(&c, 30, 0, 1, black, "I");
    assert_int_equal(count_dark(&c, 30, 0, 36, 9), 3 + 5 + 3);
    vox_canvas_text(&c, 40, 0, 2, black, "I");
    assert_int_equal(count_dark(&c, 40, 0, 52, 18), 4 * (3 + 5 + 3));
    vox_canvas_text(&c, 54, 30, 2, black, "wide \x01\xff outside");
    vox_canvas_disc(&c, -3, 38, 2, black);
    vox_canvas_line(&c, -100, -100, 200, 300, 3, 0, black);
    assert_int_equal(vox_canvas_text_width("abc", 2), 36);
    vox_canvas_release(&c);
}

static void the_picture_is_a_png(void **state)
{
    (void)state;
    vox_roofline r = {.title = "a device", .peak = 200e9, .copy = 30e9};
    char *data = NULL;
    size_t size = 0;
    assert_ok(vox_roofline_add(&r, "no operations", 0, 0, 10, 1, &err));
    assert_ok(vox_roofline_add(&r, "no bytes", 0, 10, 0, 1, &err));
    assert_int_equal(r.count, 0);
    for (int i = 0; i < 2 * VOX_ROOF_MOST; i++) /* many in one place, more than are drawn */
        assert_ok(vox_roofline_add(&r, "a rather long label of a kernel, longer than there is room",
                                   i, 1e9, 1e7 * (i % 3 + 1), 0.01 * (i % 7 + 1), &err));
    vox_status s = vox_roofline_write(&r, path, &err);
#ifdef VOXCL_WITH_PNG
    assert_ok(s);
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    assert_true(size > 1000);
    assert_memory_equal(data, "\x89PNG\r\n\x1a\n", 8);
    assert_memory_equal(data + size - 8, "IEND", 4);
    free(data);
    assert_error(vox_roofline_write(&r, "/nowhere/at/all.png", &err), VOX_ERR_IO, "/nowhere");
#else
    (void)data;
    (void)size;
    assert_error(s, VOX_ERR_UNSUPPORTED, "PNG");
#endif
    vox_roofline_release(&r);
    assert_int_equal(r.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_letters_are_drawn),
        cmocka_unit_test(the_picture_is_a_png),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
