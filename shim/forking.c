/* SPDX-License-Identifier: Apache-2.0 */
/* By itself: who takes a lock needs nothing else of fork.c. */
#include "shim/lock.h"

__thread unsigned kt_forking __attribute__((tls_model("initial-exec")));
