// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says of a siw device that its ports have to be mapped, as those of iWARP hardware have: the kernel looks at the flag
 * at every listen and connect.
 *   echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map     (nomap: as siw has it)
 */
#include <linux/module.h>
#include <linux/string.h>
#include <rdma/ib_verbs.h>
#include <rdma/iw_cm.h>

static int set_flag(const char *value, bool map)
{
	char name[IB_DEVICE_NAME_MAX];
	struct ib_device *device;

	strscpy(name, value, sizeof(name));
	device = ib_device_get_by_name(strim(name), RDMA_DRIVER_SIW);
	if (!device)
		return -ENODEV;
	if (map)
		device->iw_driver_flags &= ~IW_F_NO_PORT_MAP;
	else
		device->iw_driver_flags |= IW_F_NO_PORT_MAP;
	ib_device_put(device);
	return 0;
}

static int map(const char *value, const struct kernel_param *parameter)
{
	return set_flag(value, true);
}

static int nomap(const char *value, const struct kernel_param *parameter)
{
	return set_flag(value, false);
}

static const struct kernel_param_ops map_ops = { .set = map };
static const struct kernel_param_ops nomap_ops = { .set = nomap };
module_param_cb(map, &map_ops, NULL, 0200);
module_param_cb(nomap, &nomap_ops, NULL, 0200);

static int __init portmap_init(void)
{
	return 0;
}

static void __exit portmap_exit(void)
{
}

module_init(portmap_init);
module_exit(portmap_exit);
MODULE_DESCRIPTION("Test: ports of a siw device are mapped");
MODULE_LICENSE("GPL");
