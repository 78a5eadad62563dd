#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures against others in one session: kernels.py, nested.py and costs.py, their rounds in turns; tables, ratios, JSON.

usage: all.py [--build DIR] [--pairs N] [--scale N] [--json FILE] [the options of the three]"""
import common
from costs import Costs
from kernels import Kernels
from nested import Nested

common.session([Kernels, Nested, Costs], __doc__)
