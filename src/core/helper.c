#include "core/helper.h"
