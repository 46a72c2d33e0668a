# SPDX-License-Identifier: BSD-2-Clause
# Where systemd and udev of this distribution look: Debian 12 and 13 differ, so pkg-config is asked.
find_package(PkgConfig REQUIRED)

function(rdmaboot_directory variable package name fallback what)
  pkg_get_variable(found ${package} ${name})
  if(NOT found)
    set(found ${fallback})
  endif()
  set(${variable} ${found} CACHE PATH "${what}")
endfunction()

rdmaboot_directory(RDMABOOT_UNIT_DIR systemd systemdsystemunitdir
                   /lib/systemd/system "system units")
rdmaboot_directory(RDMABOOT_UDEV_DIR udev udevdir /lib/udev "udev helpers and rules.d")
# Not the multiarch directory: units name the path.
set(RDMABOOT_LIBEXEC_DIR ${CMAKE_INSTALL_PREFIX}/lib/rdma-boot CACHE PATH
    "programs that units call")
