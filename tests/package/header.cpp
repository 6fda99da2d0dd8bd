// header.cpp - voxcl.h compiles alone as C++11.
#include "voxcl.h"
