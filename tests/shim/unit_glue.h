/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Parts of the shim whose headers are C only (atomics), for the unit tests. */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_plan_file;
struct kt_plan_file *glue_plan_new(void);
void glue_plan_free(struct kt_plan_file *f);
/* Replaces the text and parses it; what does not fit is cut. */
void glue_plan_text(struct kt_plan_file *f, const void *text, size_t len);
int glue_plan_load(struct kt_plan_file *f, const char *path);
void glue_plan_builtin(struct kt_plan_file *f, int fail_allow);
void glue_plan_refresh(struct kt_plan_file *f);
/* Host byte order, 0 = none. */
uint32_t glue_plan_add(struct kt_plan_file *f, const char *name);
uint32_t glue_plan_addr(struct kt_plan_file *f, const char *name);
const char *glue_plan_name(struct kt_plan_file *f, uint32_t addr);
const char *glue_plan_by_ip(struct kt_plan_file *f, const uint8_t ip[16]);
int glue_plan_excludes(struct kt_plan_file *f, const char *name);
int glue_plan_wild(struct kt_plan_file *f, const char *name);
int glue_plan_magic(struct kt_plan_file *f);
int glue_plan_fail_allow(struct kt_plan_file *f);
const char *glue_plan_ca(struct kt_plan_file *f);
unsigned glue_plan_count(struct kt_plan_file *f);
int glue_plan_detached(struct kt_plan_file *f);

/* kt_child_env on a copy; new array (glue_env_free). */
char **glue_child_env(char *const *envp);
void glue_env_free(char **envp);

#ifdef __cplusplus
}
#endif
