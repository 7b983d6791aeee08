/// @file
/// A consumer of one topic as Pulsar's own client has it, which stands between the broker and the WebSocket API: its queue, the
/// permits it gives, what is refused or late, and what becomes a dead letter.
#pragma once

#include "box/catalogue.hpp"
#include "box/settings.hpp"
#include "box/subscription.hpp"
#include "box/topic.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stargate::box {

/// For whom it consumes. It outlives its consumers.
class consumer_owner {
public:
  consumer_owner(catalogue& all, std::string subscription_name, receiver_settings s, bool is_reader)
    : all_{all},
      settings_{std::move(s)},
      subscription_{std::move(subscription_name)},
      is_reader_{is_reader} {}
  consumer_owner(const consumer_owner&) = delete;
  consumer_owner& operator=(const consumer_owner&) = delete;
  virtual ~consumer_owner() = default;

  /// There is something in a queue.
  virtual void pump() = 0;

  [[nodiscard]] catalogue& all() { return all_; }
  [[nodiscard]] const receiver_settings& settings() const { return settings_; }
  [[nodiscard]] const std::string& subscription_name() const { return subscription_; }
  [[nodiscard]] bool is_reader() const { return is_reader_; }

private:
  catalogue& all_;
  const receiver_settings settings_;
  const std::string subscription_;
  const bool is_reader_;
};

class client_consumer;

/// Which messages of a batch are not acknowledged yet; its entry is when none is left.
using batch_left = std::shared_ptr<std::set<std::int32_t>>;

struct delivered {
  std::weak_ptr<client_consumer> from;
  std::shared_ptr<topic> on; ///< A topic that is deleted and made again is another.
  std::size_t index = 0;
  std::int32_t in_batch = -1;
  int redeliveries = 0;
  batch_left left;
};

/// Of one topic, or of one partition.
class client_consumer final : public attached, public std::enable_shared_from_this<client_consumer> {
public:
  client_consumer(consumer_owner& of, std::shared_ptr<topic> from) : owner_{of}, topic_{std::move(from)} {}
  ~client_consumer() override { leave(); }

  /// Why it cannot, in Pulsar's words. @param begin where a new subscription begins
  [[nodiscard]] std::string attach_at(std::size_t begin);
  /// It begins with an entry that was had already, or of a batch the messages up to this one.
  void skip_first(std::size_t index, std::int32_t in_batch) { skipped_ = {index, in_batch}; }
  [[nodiscard]] std::size_t standard_begin() const;

  // -- from the broker's side
  void take(std::size_t index, int redeliveries) override;
  void reach_end() override { at_end_ = true; }
  void be_cut_off() override;

  // -- for the connection
  [[nodiscard]] bool has_some() const { return !queue_.empty(); }
  [[nodiscard]] delivered pop();
  /// One without a queue asks for each message.
  void ask_for_one();
  void acknowledge(const delivered& d);
  void refuse(std::size_t index);
  [[nodiscard]] bool is_at_end() const { return at_end_; }
  [[nodiscard]] bool is_alone() const { return attached_ && subscription_->consumers().size() == 1; }
  void leave();
  void remove_subscription() { topic_->remove_subscription(subscription_->name); }
  [[nodiscard]] const std::shared_ptr<topic>& from() const { return topic_; }

private:
  void processed(std::int64_t messages);
  void redeliver(const std::vector<std::size_t>& indices);
  void look_at_refused();
  void look_at_unacknowledged();
  [[nodiscard]] bool bury(std::size_t index);
  void track(std::size_t index);

  consumer_owner& owner_;
  std::shared_ptr<topic> topic_;
  std::shared_ptr<subscription> subscription_;
  bool attached_ = false;
  bool at_end_ = false;
  std::deque<delivered> queue_;
  std::int64_t available_ = 0; ///< Permits to give back.
  std::optional<std::pair<std::size_t, std::int32_t>> skipped_;
  std::optional<std::size_t> last_popped_;
  std::map<std::size_t, micros> refused_; ///< Until when they are kept back.
  bool looks_at_refused_ = false;
  std::deque<std::set<std::size_t>> unacknowledged_; ///< By ticks, the oldest first; empty without a time-out.
  std::set<std::size_t> may_be_dead_;                ///< Delivered for the last time.
};

} // namespace stargate::box
