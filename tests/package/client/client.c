/* client.c - a program that knows voxcl only by its installed header. */
#include <voxcl.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    char *text = NULL;
    vox_string_free(&text);
    printf("voxcl %s\n", vox_version());
    return strlen(vox_version()) < 5;
}
