#pragma once

#include <stargate/export.hpp>

namespace STARGATE_API stargate {

/// Makes Stargate's message types known to CAF 1.x, CAF's own included. A program that starts trees, supervisors or
/// registries need not call it: it is done while the program is loaded, before `main`, so that no error can be made, and
/// none can go, before CAF knows what is in it.
/// Doing it again is harmless. A program that loads Stargate later, as a plug-in, does so before its first
/// `actor_system`. On CAF 0.17 it does nothing.
void init_caf();

/// The same for what a program needs that uses supervisors and registries alone, and links `stargate::supervision` only.
void init_supervision();

} // namespace stargate
