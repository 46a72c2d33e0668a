// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel module that behaves badly on request, for the VM scenarios. Never shipped.
 *
 * The Makefile builds it under several names with other defaults (rdmaboot_test_slow, _hang, _fail, _node, _plain),
 * and as a chain of modules that need each other (rdmaboot_test_a <- _b <- _c).
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#ifndef DEFAULT_DELAY_MS
#define DEFAULT_DELAY_MS 0
#endif
#ifndef DEFAULT_HANG
#define DEFAULT_HANG 0
#endif
#ifndef DEFAULT_ERROR
#define DEFAULT_ERROR 0
#endif
#ifndef DEFAULT_NODE_DELAY_MS
#define DEFAULT_NODE_DELAY_MS (-1)
#endif

static unsigned int delay_ms = DEFAULT_DELAY_MS;
module_param(delay_ms, uint, 0444);
MODULE_PARM_DESC(delay_ms, "how long init sleeps, in milliseconds");

static bool hang = DEFAULT_HANG;
module_param(hang, bool, 0444);
MODULE_PARM_DESC(hang, "init does not return until it is released, or hang_limit_ms is over");

static bool killable;
module_param(killable, bool, 0444);
MODULE_PARM_DESC(killable, "a hanging init ends with -EINTR when its process is killed");

static bool release;
module_param(release, bool, 0644);
MODULE_PARM_DESC(release, "write 1 to end the hang; init then succeeds");

/* So that a guest can always be powered off. */
static unsigned int hang_limit_ms = 120000;
module_param(hang_limit_ms, uint, 0644);
MODULE_PARM_DESC(hang_limit_ms, "a hang ends by itself after this time, with -ETIMEDOUT");

static unsigned int error = DEFAULT_ERROR;
module_param(error, uint, 0444);
MODULE_PARM_DESC(error, "init fails with this errno");

static int node_delay_ms = DEFAULT_NODE_DELAY_MS;
module_param(node_delay_ms, int, 0444);
MODULE_PARM_DESC(node_delay_ms, "the device node appears this long after init, in milliseconds; -1: never");

static char *node = "rdmaboot_test";
module_param(node, charp, 0444);
MODULE_PARM_DESC(node, "name of the device node under /dev");

#ifdef CHAIN_LINK
#if CHAIN_LINK == 1
int rdmaboot_test_first(void);
int rdmaboot_test_first(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(rdmaboot_test_first);
#elif CHAIN_LINK == 2
int rdmaboot_test_first(void);
int rdmaboot_test_second(void);
int rdmaboot_test_second(void)
{
	return rdmaboot_test_first() + 1;
}
EXPORT_SYMBOL_GPL(rdmaboot_test_second);
#else
int rdmaboot_test_second(void);
#endif
#endif

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice node_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &node_fops,
	.mode = 0666,
};

static bool node_registered;

static void register_node(struct work_struct *work)
{
	node_device.name = node;
	node_registered = misc_register(&node_device) == 0;
	pr_info("%s: /dev/%s %s\n", KBUILD_MODNAME, node, node_registered ? "registered" : "not registered");
}
static DECLARE_DELAYED_WORK(node_work, register_node);

static int hang_until_released(void)
{
	const unsigned long end = jiffies + msecs_to_jiffies(hang_limit_ms);

	while (!READ_ONCE(release)) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		if (killable)
			schedule_timeout_killable(HZ / 10);
		else
			schedule_timeout_uninterruptible(HZ / 10);
	}
	return 0;
}

static int __init rdmaboot_test_init(void)
{
	int result = 0;

#ifdef CHAIN_LINK
#if CHAIN_LINK == 3
	pr_info("%s: %d modules below\n", KBUILD_MODNAME, rdmaboot_test_second());
#endif
#endif
	if (delay_ms)
		msleep(delay_ms);
	if (hang)
		result = hang_until_released();
	if (result == 0 && error)
		result = -(int)error;
	if (result == 0 && node_delay_ms >= 0)
		schedule_delayed_work(&node_work, msecs_to_jiffies(node_delay_ms));
	return result;
}
module_init(rdmaboot_test_init);

static void __exit rdmaboot_test_exit(void)
{
	if (node_delay_ms >= 0)
		cancel_delayed_work_sync(&node_work);
	if (node_registered)
		misc_deregister(&node_device);
}
module_exit(rdmaboot_test_exit);

MODULE_DESCRIPTION("test module of rdma-boot: slow, hanging or failing on request");
MODULE_LICENSE("GPL");
