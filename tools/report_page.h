/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files of tools/report_page/, built in by report_page.cmake. */
#include <stddef.h>

extern const char kt_page_style[], kt_page_body[], kt_page_script[];
extern const size_t kt_page_style_len, kt_page_body_len, kt_page_script_len;
