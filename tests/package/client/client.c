/* client.c - a program that knows voxcl only by its installed header. */
#include <voxcl.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    vox_error err;
    vox_device_list *list = NULL;
    memset(&err, 0, sizeof err);
    if (strlen(vox_version()) < 5)
        return 1;
    if (vox_device_list_open(&list, &err) != VOX_OK) {
        fprintf(stderr, "%s: %s\n", err.message, err.detail);
        return 1;
    }
    printf("voxcl %s, %d devices\n", vox_version(), (int)list->count);
    vox_device_list_free(&list);
    return list != NULL;
}
