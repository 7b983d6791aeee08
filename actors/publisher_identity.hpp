/// @file
/// What a broker needs to drop what is sent twice: under which name a producer publishes, and from which number on.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <utility>

namespace stargate::internal {

/// The acknowledger says where the next connection goes on, and the socket asks when it connects. Pulsar's proxy
/// numbers what it is sent, from the number behind `initialSequenceId` on; so what is sent again has the number it had.
/// @par Threads any thread
class publisher_identity {
public:
  struct connection {
    std::string name;
    std::int64_t behind = -1; ///< The number of the last message that needs no sending any more.
    friend bool operator==(const connection&, const connection&) = default;
  };

  explicit publisher_identity(std::string base) : base_{std::move(base)} { begin_anew(); }

  /// From now on under a name that no broker knows: nobody can tell which numbers were used under the last one.
  void begin_anew() {
    static constexpr char digits[] = "0123456789abcdef";
    std::random_device random;
    std::string name = base_ + "-";
    for (int i = 0; i < 16; ++i)
      name += digits[random() % 16];
    const std::lock_guard guard{mutex_};
    next_ = {std::move(name), -1};
  }

  void go_on_behind(std::int64_t number) {
    const std::lock_guard guard{mutex_};
    next_.behind = number;
  }

  /// What a connection is to be made with, from here on `last`.
  connection connect() {
    const std::lock_guard guard{mutex_};
    return last_ = next_;
  }

  /// Whether the last connection was made with what holds now.
  [[nodiscard]] bool is_current() const {
    const std::lock_guard guard{mutex_};
    return last_ == next_;
  }

private:
  const std::string base_;
  mutable std::mutex mutex_;
  connection next_;
  connection last_;
};

} // namespace stargate::internal
