#pragma once

#include <stargate/export.hpp>

namespace STARGATE_API stargate {

/// Makes Stargate's message types known to CAF 1.x, CAF's own included; call it once, before the first
/// `actor_system_config`. On CAF 0.17 it does nothing.
void init_caf();

/// The same for a program that uses supervisors and registries alone, and links `stargate::supervision` only.
void init_supervision();

} // namespace stargate
