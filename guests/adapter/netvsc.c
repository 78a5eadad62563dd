/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guests/adapter/vmbus.h"
const struct channel_driver network_driver = {.interface = {0}};
