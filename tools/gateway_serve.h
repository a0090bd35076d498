/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The life of `kt gateway run`: start, signals, reload, drain. */
#include "tools/gateway_args.h"

/* Serves until a signal ends it; returns the exit status. Wipes the arguments' tokens once they are taken. */
int gateway_serve(const struct kt_command *c, struct gateway_args *a);
