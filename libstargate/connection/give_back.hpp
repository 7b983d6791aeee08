/// @file
/// Giving memory back, which `x = {}` does not do for texts and vectors: that keeps it for what comes.
#pragma once

#include <utility>

namespace stargate::connection {

/// Empties a container, and frees what it has.
template <class Container>
void give_back(Container& what) {
  Container{}.swap(what);
}

} // namespace stargate::connection
