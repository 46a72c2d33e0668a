// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands for a multi-function network driver, for the VM scenarios. Never shipped.
 *
 * It registers auxiliary functions, by default one named rdmaboot_test_aux.rdma.0, as mlx5_core or ice do. The driver
 * for that function is rdmaboot_test_auxdrv; while that is not loaded the function has no driver.
 */
#include <linux/auxiliary_bus.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#define MAX_FUNCTIONS 8

static char *functions[MAX_FUNCTIONS] = { "rdma" };
static int function_count = 1;
module_param_array(functions, charp, &function_count, 0444);
MODULE_PARM_DESC(functions, "names of the functions to register (rdma, iwarp, roce, eth ...)");

static struct device *parent;
static struct auxiliary_device *registered[MAX_FUNCTIONS];

static void release_function(struct device *device)
{
	kfree(to_auxiliary_dev(device));
}

static int register_function(int index)
{
	struct auxiliary_device *function = kzalloc(sizeof(*function), GFP_KERNEL);
	int result;

	if (!function)
		return -ENOMEM;
	function->name = functions[index];
	function->id = index;
	function->dev.parent = parent;
	function->dev.release = release_function;
	result = auxiliary_device_init(function);
	if (result) {
		kfree(function);
		return result;
	}
	result = auxiliary_device_add(function);
	if (result) {
		auxiliary_device_uninit(function);
		return result;
	}
	registered[index] = function;
	return 0;
}

static void unregister_all(void)
{
	int index;

	for (index = 0; index < MAX_FUNCTIONS; index++) {
		if (registered[index]) {
			auxiliary_device_delete(registered[index]);
			auxiliary_device_uninit(registered[index]);
		}
	}
	root_device_unregister(parent);
}

static int __init rdmaboot_test_aux_init(void)
{
	int index, result = 0;

	parent = root_device_register("rdmaboot_test_hw");
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	for (index = 0; index < function_count && result == 0; index++)
		result = register_function(index);
	if (result)
		unregister_all();
	return result;
}
module_init(rdmaboot_test_aux_init);

static void __exit rdmaboot_test_aux_exit(void)
{
	unregister_all();
}
module_exit(rdmaboot_test_aux_exit);

MODULE_DESCRIPTION("test module of rdma-boot: a network driver with auxiliary functions");
MODULE_LICENSE("GPL");
