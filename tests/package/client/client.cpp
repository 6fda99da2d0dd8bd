// client.cpp - the same from C++.
#include <voxcl.h>

#include <cstring>

int main()
{
    vox_error err = {};
    vox_experiment *experiment = nullptr;
    vox_status status = vox_experiment_open(&experiment, "/no/such.yaml", nullptr, 0, &err);
    return status == VOX_OK || experiment || std::strlen(err.message) == 0;
}
