#include "registry/internal_messages.hpp"
#include "supervisor/internal_messages.hpp"

#include <stargate/init.hpp>
#include <stargate/registry.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>

namespace stargate {

void init_supervision() {
#if STARGATE_CAF_1
  caf::core::init_global_meta_objects();
  caf::init_global_meta_objects<caf::id_block::stargate_caf>();
  caf::init_global_meta_objects<caf::id_block::stargate_errors>();
  caf::init_global_meta_objects<caf::id_block::stargate_registry>();
  caf::init_global_meta_objects<caf::id_block::stargate_registry_internal>();
  caf::init_global_meta_objects<caf::id_block::stargate_supervisor>();
  caf::init_global_meta_objects<caf::id_block::stargate_supervisor_internal>();
  caf::init_global_meta_objects<caf::id_block::stargate_vitals>();
#endif
}

#if STARGATE_CAF_1
namespace {

[[maybe_unused]] const bool known = (init_supervision(), true);

} // namespace
#endif

} // namespace stargate
