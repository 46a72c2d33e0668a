// SPDX-License-Identifier: BSD-2-Clause
#include "device/hardware_table.hpp"

#include <algorithm>
#include <array>

namespace rdmaboot::device {
namespace {

constexpr bool kInDebian = true;
constexpr bool kAbsent = false;

// i40iw (5.14) and the first hns_roce (5.17) left the kernel before 6.1: no rows. Soft-RoCE and
// soft-iWARP belong to no hardware: nothing loads them unasked.
constexpr std::array kTable = std::to_array<HardwareRow>({
    {"be2net", "ocrdma", Binding::kExplicitLoad, MatchOn::kNet, "all",
     "drivers/infiniband/hw/ocrdma/ocrdma_main.c", kInDebian, kInDebian},
    {"bnge", "bng_re", Binding::kAuxiliary, MatchOn::kPci, "from 6.19",
     "drivers/infiniband/hw/bng_re/bng_dev.c", kAbsent, kAbsent},
    {"bnxt_en", "bnxt_re", Binding::kExplicitLoad, MatchOn::kNet,
     "all; from 6.3 its modalias auxiliary:bnxt_en.rdma does it as well",
     "drivers/infiniband/hw/bnxt_re/main.c", kAbsent, kInDebian},
    {"cxgb4", "iw_cxgb4", Binding::kExplicitLoad, MatchOn::kNet, "all",
     "drivers/infiniband/hw/cxgb4/device.c", kInDebian, kInDebian},
    {"efa", "efa", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/efa/efa_main.c", kAbsent, kAbsent},
    {"enic", "usnic_verbs", Binding::kExplicitLoad, MatchOn::kNet,
     "all; its PCI table knows only the virtual functions",
     "drivers/infiniband/hw/usnic/usnic_ib_main.c", kInDebian, kInDebian},
    {"erdma", "erdma", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/erdma/erdma_main.c", kAbsent, kAbsent},
    {"hfi1", "hfi1", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/hfi1/init.c", kInDebian, kInDebian},
    {"hns3", "hns_roce_hw_v2", Binding::kSameDriver, MatchOn::kPci,
     "all; its PCI table has the NIC's own numbers", "drivers/infiniband/hw/hns/hns_roce_hw_v2.c",
     kAbsent, kAbsent},
    {"i40e", "irdma", Binding::kAuxiliary, MatchOn::kPci, "all",
     "drivers/infiniband/hw/irdma/i40iw_if.c", kInDebian, kInDebian},
    {"ib_mthca", "ib_mthca", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/mthca/mthca_main.c", kInDebian, kInDebian},
    {"ib_qib", "ib_qib", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/qib/qib_init.c", kInDebian, kInDebian},
    {"ice", "irdma", Binding::kAuxiliary, MatchOn::kPci, "all",
     "drivers/infiniband/hw/irdma/main.c", kInDebian, kInDebian},
    {"idpf", "irdma", Binding::kAuxiliary, MatchOn::kPci, "from 6.18",
     "drivers/infiniband/hw/irdma/ig3rdma_if.c", kInDebian, kInDebian},
    {"ionic", "ionic_rdma", Binding::kAuxiliary, MatchOn::kPci, "from 6.18",
     "drivers/infiniband/hw/ionic/ionic_ibdev.c", kAbsent, kAbsent},
    {"mana", "mana_ib", Binding::kAuxiliary, MatchOn::kPci, "from 6.2",
     "drivers/infiniband/hw/mana/device.c", kAbsent, kInDebian},
    {"mlx4_core", "mlx4_ib", Binding::kExplicitLoad, MatchOn::kPci,
     "all; from 6.7 its modalias auxiliary:mlx4_core.ib does it as well",
     "drivers/infiniband/hw/mlx4/main.c", kInDebian, kInDebian},
    {"mlx4_en", "mlx4_ib", Binding::kExplicitLoad, MatchOn::kNet,
     "all; from 6.7 its modalias auxiliary:mlx4_core.ib does it as well",
     "drivers/infiniband/hw/mlx4/main.c", kInDebian, kInDebian},
    {"mlx5_core", "mlx5_ib", Binding::kAuxiliary, MatchOn::kPci, "all",
     "drivers/infiniband/hw/mlx5/main.c", kInDebian, kInDebian},
    {"qede", "qedr", Binding::kExplicitLoad, MatchOn::kNet, "all",
     "drivers/infiniband/hw/qedr/main.c", kInDebian, kInDebian},
    {"vmw_pvrdma", "vmw_pvrdma", Binding::kSameDriver, MatchOn::kPci, "all",
     "drivers/infiniband/hw/vmw_pvrdma/pvrdma_main.c", kAbsent, kAbsent},
});
static_assert(std::ranges::is_sorted(kTable, {}, &HardwareRow::nic_driver));

}  // namespace

std::span<const HardwareRow> hardware_table() {
  return kTable;
}

}  // namespace rdmaboot::device
