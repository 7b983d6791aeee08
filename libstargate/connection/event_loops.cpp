#include "libstargate/connection/event_loops.hpp"

#include <thread>
#include <utility>

namespace stargate::connection {

event_loops::event_loops(std::size_t count, const std::optional<tls_settings>& tls,
                         std::chrono::milliseconds gather_time) {
  for (std::size_t i = 0; i < count; ++i)
    loops_.push_back(event_loop::start(tls, gather_time));
}

event_loops::~event_loops() {
  stop();
}

std::unique_ptr<link> event_loops::connect(endpoint to, std::unique_ptr<observer> observer) {
  return loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()]->connect(std::move(to),
                                                                                        std::move(observer));
}

void event_loops::stop() {
  std::vector<std::jthread> stopping;
  for (const auto& loop : loops_)
    stopping.emplace_back([loop] { loop->stop(); });
}

} // namespace stargate::connection
