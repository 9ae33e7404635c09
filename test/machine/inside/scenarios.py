"""Every scenario of the test machine, by the subject that it is about.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import service   # noqa: F401, I100: the boot is looked at before anything else happens
import clients   # noqa: F401
import access    # noqa: F401
import domain    # noqa: F401
import errands   # noqa: F401
import surroundings  # noqa: F401
import sign_off  # noqa: F401
