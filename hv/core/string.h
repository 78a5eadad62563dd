/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HV_CORE_STRING_H
#define HV_CORE_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
