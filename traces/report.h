/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitrine trace report`: one HTML file that shows a run; it loads nothing from anywhere. */
#ifndef VITRINE_TRACES_REPORT_H
#define VITRINE_TRACES_REPORT_H

#include "base/status.h"

bool trace_report(const char *trace, const char *html, struct error *err);

#endif
