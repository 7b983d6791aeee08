/// @file
/// What there is: tenants, namespaces, and the topics in them.
#pragma once

#include "box/settings.hpp"
#include "box/timers.hpp"
#include "box/topic.hpp"

#include <stargate/key.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stargate::box {

/// `tenant/namespace` of a topic's whole name.
[[nodiscard]] std::string namespace_of(const std::string& topic);

struct namespace_policies {
  std::optional<bool> creates_topics; ///< Whether one that is not there is made for who asks for it.
  std::optional<bool> deduplication;
  std::map<std::string, std::vector<std::string>> permissions;
};

class catalogue {
public:
  explicit catalogue(timers& time);
  timers& time;

  bool creates_topics = true; ///< allowAutoTopicCreation, where a namespace does not say.
  bool deduplicates = false;  ///< brokerDeduplicationEnabled, likewise.
  std::map<std::string, std::set<std::string>> tenants{{"public", {}}, {"pulsar", {}}}; ///< With who administers them.
  std::map<std::string, namespace_policies> namespaces;                                 ///< By `tenant/namespace`.

  /// Made when it is not there. @param on_purpose and not because somebody produces or subscribes
  /// @throws refusal when its namespace is not there, or makes no topics
  [[nodiscard]] std::shared_ptr<topic> open(const std::string& name, bool on_purpose = false);
  [[nodiscard]] std::shared_ptr<topic> find(const std::string& name) const;
  /// The topic, or its partitions when it has some.
  [[nodiscard]] std::vector<std::string> parts_of(const std::string& name) const;
  /// 0 for a topic without partitions.
  [[nodiscard]] std::uint32_t partitions(const std::string& name) const;
  void set_partitions(const std::string& name, std::uint32_t count);
  void remove_partitions(const std::string& name) { partitioned_.erase(name); }
  /// Cuts off who is on it.
  void remove(const std::string& name);
  [[nodiscard]] const std::map<std::string, std::shared_ptr<topic>>& topics() const { return topics_; }
  [[nodiscard]] const std::map<std::string, std::uint32_t>& partitioned() const { return partitioned_; }
  [[nodiscard]] std::int64_t new_ledger() { return next_ledger_++; }
  /// The number behind the broker's next made-up name.
  [[nodiscard]] std::uint64_t new_number() { return next_number_++; }
  void set_deduplication(const std::string& ns, std::optional<bool> on);

  /// Is told the name of each new topic, as long as it lives.
  using watcher = std::function<void(const std::string&)>;
  void watch(const std::shared_ptr<watcher>& who) { watchers_.push_back(who); }

private:
  void remove_unused();
  void tell_watchers(const std::string& name);

  std::vector<std::weak_ptr<watcher>> watchers_;
  std::map<std::string, std::shared_ptr<topic>> topics_;
  std::map<std::string, std::uint32_t> partitioned_;
  std::int64_t next_ledger_ = 1;
  std::uint64_t next_number_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

} // namespace stargate::box
