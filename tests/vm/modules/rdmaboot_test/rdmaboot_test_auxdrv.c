// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver for the functions of rdmaboot_test_aux, for the VM scenarios. Never shipped.
 *
 * It has a module alias, so udev loads it as soon as a function appears, unless a scenario denies it in modprobe.d.
 * Its probe can be slow, can fail, and can make an RDMA device (by a program that adds a soft-RoCE link).
 */
#include <linux/auxiliary_bus.h>
#include <linux/delay.h>
#include <linux/kmod.h>
#include <linux/module.h>

static unsigned int probe_delay_ms;
module_param(probe_delay_ms, uint, 0644);
MODULE_PARM_DESC(probe_delay_ms, "how long a probe sleeps, in milliseconds");

static unsigned int probe_error;
module_param(probe_error, uint, 0644);
MODULE_PARM_DESC(probe_error, "a probe fails with this errno");

static char *probe_helper = "";
module_param(probe_helper, charp, 0644);
MODULE_PARM_DESC(probe_helper, "program that a probe runs at its end, which makes the RDMA device");

static int run_probe_helper(void)
{
	char *arguments[] = { probe_helper, NULL };
	char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	return *probe_helper ? call_usermodehelper(probe_helper, arguments, environment, UMH_WAIT_PROC) : 0;
}

static int rdmaboot_test_probe(struct auxiliary_device *function, const struct auxiliary_device_id *id)
{
	if (probe_delay_ms)
		msleep(probe_delay_ms);
	if (run_probe_helper())
		pr_warn("%s: %s failed\n", KBUILD_MODNAME, probe_helper);
	return -(int)probe_error;
}

static const struct auxiliary_device_id rdmaboot_test_ids[] = {
	{ .name = "rdmaboot_test_aux.rdma" },
	{ .name = "rdmaboot_test_aux.roce" },
	{ .name = "rdmaboot_test_aux.iwarp" },
	{},
};
MODULE_DEVICE_TABLE(auxiliary, rdmaboot_test_ids);

static struct auxiliary_driver rdmaboot_test_driver = {
	.name = "rdma",
	.probe = rdmaboot_test_probe,
	.id_table = rdmaboot_test_ids,
};
module_auxiliary_driver(rdmaboot_test_driver);

MODULE_DESCRIPTION("test module of rdma-boot: driver of the auxiliary functions");
MODULE_LICENSE("GPL");
