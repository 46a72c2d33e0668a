// SPDX-License-Identifier: BSD-2-Clause
#pragma once

/// Marks what librdmaboot.so offers; everything else in it stays hidden.
#define RDMABOOT_API __attribute__((visibility("default")))
