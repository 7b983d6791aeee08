#include <stargate/init.hpp>

#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/tree/reconciler.hpp"
#include "actors/tree/starter.hpp"

#include <stargate/tree.hpp>

namespace stargate {

void init_caf() {
  init_supervision();
#if STARGATE_CAF_1
  caf::init_global_meta_objects<caf::id_block::stargate_tree>();
  caf::init_global_meta_objects<caf::id_block::stargate_actors>();
  caf::init_global_meta_objects<caf::id_block::stargate_producer>();
  caf::init_global_meta_objects<caf::id_block::stargate_receiver>();
  caf::init_global_meta_objects<caf::id_block::stargate_reconciler>();
  caf::init_global_meta_objects<caf::id_block::stargate_producing>();
  caf::init_global_meta_objects<caf::id_block::stargate_handler>();
  caf::init_global_meta_objects<caf::id_block::stargate_event>();
  caf::init_global_meta_objects<caf::id_block::stargate_starter>();
#endif
}

#if STARGATE_CAF_1
namespace {

[[maybe_unused]] const bool known = (init_caf(), true);

} // namespace
#endif

} // namespace stargate
