/// @file
/// An answer that comes exactly once, also when the actor that owes it ends.
#pragma once

#include <stargate/error.hpp>

#include <functional>
#include <utility>

namespace stargate::internal {

/// Whoever drops it without an answer gives an error. @par Threads used by one at a time
template <class T>
class one_answer {
public:
  explicit one_answer(std::function<void(caf::expected<T>)> take) : take_{std::move(take)} {}
  one_answer(const one_answer&) = delete;
  one_answer& operator=(const one_answer&) = delete;
  ~one_answer() { answer(make_error(errc::stopping, "the actor that was asked has ended")); }

  void answer(caf::expected<T> result) {
    if (const auto take = std::exchange(take_, nullptr))
      take(std::move(result));
  }

private:
  std::function<void(caf::expected<T>)> take_;
};

} // namespace stargate::internal
