// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says of an RDMA device what its driver says when the hardware has failed for good: the event that programs with the
 * device open are told of. The device itself goes on.
 *   echo rxe0 >/sys/module/rdmaboot_test_event/parameters/fatal
 */
#include <linux/module.h>
#include <linux/string.h>
#include <rdma/ib_verbs.h>

static int fatal(const char *value, const struct kernel_param *parameter)
{
	char name[IB_DEVICE_NAME_MAX];
	struct ib_event event = { .event = IB_EVENT_DEVICE_FATAL };

	strscpy(name, value, sizeof(name));
	event.device = ib_device_get_by_name(strim(name), RDMA_DRIVER_UNKNOWN);
	if (!event.device)
		return -ENODEV;
	event.element.port_num = 1;
	ib_dispatch_event(&event);
	/* The event waits in a queue of its own, and the device may not go before it. */
	flush_workqueue(ib_wq);
	ib_device_put(event.device);
	return 0;
}

static const struct kernel_param_ops fatal_ops = { .set = fatal };
module_param_cb(fatal, &fatal_ops, NULL, 0200);

static int __init event_init(void)
{
	return 0;
}

static void __exit event_exit(void)
{
}

module_init(event_init);
module_exit(event_exit);
MODULE_DESCRIPTION("Test: an RDMA device reports a fatal error");
MODULE_LICENSE("GPL");
