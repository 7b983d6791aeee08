/// @file
/// A topic without partitions, or one partition: its entries, who produces, who subscribes.
#pragma once

#include "box/message.hpp"
#include "box/subscription.hpp"
#include "box/timers.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace stargate::box {

/// A producer as the broker sees it.
class publisher {
public:
  publisher() = default;
  publisher(const publisher&) = delete;
  publisher& operator=(const publisher&) = delete;
  virtual ~publisher() = default;
  /// The broker has closed it.
  virtual void be_cut_off() = 0;
};

class topic : public std::enable_shared_from_this<topic> {
public:
  topic(timers& time, std::string name, bool persistent, std::int64_t ledger);

  const std::string name; ///< With its scheme, tenant and namespace.
  const bool is_persistent;
  std::int32_t partition = -1;
  bool is_terminated = false;
  bool deduplicates = false;
  timers& time;

  // -- producing

  /// False when the name is taken.
  [[nodiscard]] bool add_publisher(const std::string& producer_name, publisher& who);
  void remove_publisher(const std::string& producer_name, const publisher& who);
  [[nodiscard]] const std::map<std::string, publisher*>& publishers() const { return publishers_; }

  struct receipt {
    position at;           ///< (-1, -1) for what is stored already.
    std::string failure{}; ///< Why it was not stored.
  };
  /// Stores a message or a batch. @param last_number the number of its last message
  receipt publish(const std::string& producer_name, std::int64_t last_number, std::vector<message> messages,
                  bool is_batch);
  /// The number of the last message of a producer, where that is known: -1 without.
  [[nodiscard]] std::int64_t last_number(const std::string& producer_name) const;

  [[nodiscard]] std::size_t messages_in() const { return messages_in_; } ///< Since it began.

  // -- entries, named by their place since the topic began

  [[nodiscard]] std::size_t end() const { return first_ + entries_.size(); }
  [[nodiscard]] std::size_t begin() const { return first_; }
  [[nodiscard]] const entry& at(std::size_t index) const { return entries_.at(index - first_); }
  /// The first that is not before `p`.
  [[nodiscard]] std::size_t index_of(position p) const;
  [[nodiscard]] std::size_t index_of_time(std::int64_t milliseconds) const;
  /// Where the next entry will be stored, less one: the last there is.
  [[nodiscard]] position last() const { return {ledger_, next_entry_ - 1}; }

  // -- subscribing

  [[nodiscard]] std::map<std::string, std::shared_ptr<subscription>>& subscriptions() { return subscriptions_; }
  [[nodiscard]] std::shared_ptr<subscription> find(const std::string& subscription_name) const;
  std::shared_ptr<subscription> subscribe(const std::string& subscription_name, bool durable, std::size_t begin);
  void remove_subscription(const std::string& subscription_name);

  void terminate();
  /// Closes all producers and consumers, which come back by themselves, and goes on in a new ledger.
  void unload(std::int64_t ledger);
  /// Nobody is there and no subscription is left, since then.
  [[nodiscard]] micros unused_since() const { return unused_since_; }
  void note_use();

private:
  void forget_what_all_have();

  std::deque<entry> entries_;
  std::size_t first_ = 0; ///< How many are gone: what all subscriptions acknowledged, when there is a lot of it.
  std::size_t bytes_ = 0;
  std::size_t messages_in_ = 0;
  std::int64_t ledger_;
  std::int64_t next_entry_ = 0;
  std::map<std::string, std::int64_t> last_numbers_;
  std::map<std::string, publisher*> publishers_;
  std::map<std::string, std::shared_ptr<subscription>> subscriptions_;
  micros unused_since_ = 0;
};

} // namespace stargate::box
