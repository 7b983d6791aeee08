/// @file
/// Several event loops as one transport.
#pragma once

#include "libstargate/connection/event_loop.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace stargate::connection {

/// Each connection belongs to one of the loops, in turn.
class event_loops final : public transport {
public:
  /// @param count at least 1 @throws as `event_loop::start`
  event_loops(std::size_t count, const std::optional<tls_settings>& tls,
              std::chrono::milliseconds gather_time = default_gather_time);
  ~event_loops() override;

  [[nodiscard]] std::unique_ptr<link> connect(endpoint to, std::unique_ptr<observer> observer) override;
  /// Stops all of them at the same time.
  void stop() override;

private:
  std::vector<std::shared_ptr<event_loop>> loops_;
  std::atomic<std::size_t> next_{0};
};

} // namespace stargate::connection
