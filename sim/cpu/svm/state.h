/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What SVM adds to a processor's state. */
#ifndef VITRINE_CPU_SVM_STATE_H
#define VITRINE_CPU_SVM_STATE_H

#include "base/types.h"

struct svm_arch {
    bool gif; /* global interrupt flag; 1 after reset */
};

#endif
