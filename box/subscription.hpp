/// @file
/// A subscription on a topic: what is acknowledged, what goes to whom next.
///
/// It is the broker's side: permits, replays and redelivery counts are those of Pulsar's dispatchers, and what a client
/// behind the WebSocket API keeps in its hands is in `receiver.hpp`.
#pragma once

#include "box/message.hpp"
#include "box/timers.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace stargate::box {

class topic;

enum class subscription_type : std::uint8_t { exclusive, shared, failover, key_shared };

[[nodiscard]] std::string_view name_of(subscription_type type);

/// A consumer as the broker sees it.
class attached {
public:
  attached() = default;
  attached(const attached&) = delete;
  attached& operator=(const attached&) = delete;
  virtual ~attached() = default;

  /// An entry goes to it.
  virtual void take(std::size_t index, int redeliveries) = 0;
  /// Everything is acknowledged, and the topic has been terminated.
  virtual void reach_end() = 0;
  /// The broker has closed it; nothing comes any more unless it attaches again.
  virtual void be_cut_off() = 0;

  std::string name;
  int priority = 0;
  std::int64_t permits = 0; ///< For messages, in batches or not.
  /// Of a shared subscription, an entry that it has: the hash of its key, and how many messages it is.
  struct held {
    int hash;
    std::size_t messages;
  };
  std::map<std::size_t, held> pending; ///< They may be skipped, and forgotten on the topic.
};

/// Entries are named by their place on the topic, counted from its beginning.
class subscription : public std::enable_shared_from_this<subscription> {
public:
  subscription(topic& on, std::string name, bool durable, std::size_t begin);

  const std::string name;
  const bool is_durable;
  std::optional<subscription_type> type; ///< That of its consumers; nothing before the first.

  /// Why a consumer cannot attach, in Pulsar's words; nothing when it has been attached.
  [[nodiscard]] std::string attach(attached& who, subscription_type as);
  void detach(attached& who);
  [[nodiscard]] const std::vector<attached*>& consumers() const { return consumers_; }
  /// Cuts off all of them.
  void cut_off();

  void flow(attached& who, std::int64_t permits);
  void acknowledge(std::size_t index);
  /// What `who` has is to be delivered again: these, or, where single ones cannot, all that is not acknowledged.
  void redeliver(attached& who, const std::vector<std::size_t>& indices);

  /// There is something new on the topic.
  void dispatch();
  /// The topic was terminated, or something was acknowledged.
  void note_end();

  void skip(std::size_t entries);
  /// What is on the topic is none of it any more.
  void pass_over();
  /// Begins anew at a place.
  void reset(std::size_t to);
  [[nodiscard]] std::size_t backlog() const;
  /// Of shared subscriptions.
  [[nodiscard]] std::size_t unacknowledged() const;
  /// Everything before it is acknowledged.
  [[nodiscard]] std::size_t mark() const { return mark_; }

  [[nodiscard]] bool is_acknowledged(std::size_t index) const { return index < mark_ || acknowledged_.contains(index); }
  /// Where it began, or was last set to.
  [[nodiscard]] std::size_t began() const { return began_; }

private:
  [[nodiscard]] bool is_single() const;
  [[nodiscard]] std::size_t size_of(std::size_t index) const;
  void choose_active(bool at_once);
  void dispatch_single();
  void dispatch_shared();
  void dispatch_by_key();
  [[nodiscard]] attached* next_consumer();
  [[nodiscard]] attached* consumer_of(int hash);
  [[nodiscard]] int hash_of(std::size_t index) const;
  [[nodiscard]] std::optional<std::size_t> read();
  void give(attached& to, std::size_t index);
  void rewind();
  void release_delayed();

  topic& topic_;
  std::size_t began_;
  std::size_t mark_;                   ///< Everything before is acknowledged,
  std::set<std::size_t> acknowledged_; ///< and these.
  std::size_t read_;                   ///< What is read next.
  std::vector<attached*> consumers_;
  attached* active_ = nullptr;    ///< Of those of an exclusive or failover subscription.
  bool waits_for_active_ = false; ///< A failover is under way.
  std::size_t round_robin_ = 0;
  std::map<int, attached*> ring_; ///< Who has which hashes of keys; empty when it is to be made anew.
  std::set<std::size_t> replay_;  ///< To be delivered again, before anything new.
  std::map<std::size_t, int> redeliveries_;
  std::multimap<std::int64_t, std::size_t> delayed_; ///< By the time at which they are to be delivered.
  bool is_dispatching_ = false;
  bool dispatch_again_ = false;
};

} // namespace stargate::box
