/// @file
/// Which dead-letter topics are known to have a subscription, so that the broker keeps what is on them.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace stargate::internal {

/// @par Threads any thread
class topic_holds {
public:
  enum answer { held, busy, yours };

  /// Whether a topic is held; if nobody is about to see to that, whoever asks has to, and says `done` or `given_up`.
  [[nodiscard]] answer look(const std::string& topic) {
    const std::lock_guard guard{mutex_};
    const auto [found, is_new] = topics_.emplace(topic, busy);
    return is_new ? yours : found->second;
  }
  void done(const std::string& topic) {
    const std::lock_guard guard{mutex_};
    topics_[topic] = held;
  }
  void given_up(const std::string& topic) {
    const std::lock_guard guard{mutex_};
    if (const auto found = topics_.find(topic); found != topics_.end() && found->second == busy)
      topics_.erase(found);
  }

private:
  std::mutex mutex_;
  std::map<std::string, answer> topics_;
};

} // namespace stargate::internal
