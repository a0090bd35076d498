/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A process whose main thread has ended (pthread_exit) ends with its last thread, and the engine's lives as
 * long as the process does. So from then on a thread of ours waits until none is left that is the program's,
 * and ends the process as libc does.
 */
#include <stdbool.h>

/* This thread is none of the program's, until it ends. */
void kt_last_thread_ours(void);
/* True in a program of one thread, as it sees it. Keeps errno. */
bool kt_thread_is_alone(void);

/* The main thread is about to end. */
void kt_last_thread_main_ends(void);
/* The engine is there now. */
void kt_last_thread_engine(void);
/* In a fork child. */
void kt_last_thread_forked(void);
