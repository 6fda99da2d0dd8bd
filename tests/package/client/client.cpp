// client.cpp - the same from C++.
#include <voxcl.h>

#include <cstring>

int main()
{
    vox_error err = {};
    vox_log_set(nullptr, nullptr);
    return err.code != VOX_OK || std::strlen(vox_version()) < 5;
}
