/// @file
/// A model of Pulsar's broker behind its WebSocket API: what it stores, what it delivers, and what it may forget.
///
/// It follows what was seen of Pulsar 4.0: numbering and dropping by producer name, queues and permits, redelivery
/// after a connection's end, refusals by status. Compaction, quotas, replication and schemas are not part of it.
#pragma once

#include "simulation/network.hpp"
#include "simulation/randomness.hpp"

#include <stargate/caf.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stargate::simulation {

/// A message on a topic. `identity` is the property by which the application tells messages apart.
struct stored_message {
  std::string identity, payload, key;
  std::string encryption; ///< The frame's encryption context, or nothing.
  bool by_broker = false; ///< A dead letter that no client produced.
  micros at = 0;
  micros visible_at = 0; ///< Delayed delivery, on shared subscriptions.
};

struct topic_model {
  std::string name;
  std::vector<stored_message> log;
  std::map<std::string, std::int64_t> last_number; ///< By producer name.
  micros unused_since = never; ///< Nobody produces, and there is no subscription: the broker deletes it after a while.
  std::size_t deleted = 0;     ///< How many of the first messages went with it.
};

/// Which message: by its topic and its place there.
using spot = std::pair<topic_model*, std::size_t>;

struct subscription_model {
  std::string name, type;
  std::string pattern; ///< Of the topics it is on, also of those to come; or nothing.
  bool from_the_beginning = false;
  int most_redeliveries = 0; ///< Or 0 for any number: then a message is moved to
  std::string dead_letters;  ///< this topic.
  bool durable = true;
  std::vector<topic_model*> topics;
  std::map<std::string, std::size_t> begins, next; ///< By topic.
  std::vector<spot> again;                         ///< To be delivered again, in order.
  std::map<spot, int> count; ///< Of deliveries; these two are asked, and not walked through: they have no order.
  std::set<spot> acknowledged;
  std::vector<std::pair<micros, spot>> delayed; ///< Not to be seen before their time.
};

class broker final : public far_side {
public:
  broker(network& net, randomness random, network::tracer trace);

  // -- for the judge
  /// Is told before an acknowledgement is taken. Subscription, topic, identity.
  std::function<void(const std::string&, const std::string&, const std::string&)> on_acknowledged;
  /// Told in pull mode: a wire, what it may be sent now, and what it has and has not settled.
  std::function<void(const wire&, std::size_t, std::size_t)> on_permitted;
  /// What must not be: the text says what.
  std::function<void(const std::string&)> on_violation;
  [[nodiscard]] const std::map<std::string, topic_model>& topics() const { return topics_; }
  /// Made when it is first named.
  topic_model& topic(const std::string& name);
  [[nodiscard]] std::map<std::string, subscription_model>& subscriptions() { return subscriptions_; }

  /// On which topics a message was refused: when it is sent again it may be stored, behind those after it.
  std::set<std::string> refused_on;

  // -- faults
  bool up = true;
  double refusing = 0; ///< How often a handshake is refused,
  std::vector<int> refusals{500, 503, 429, 409};
  double failing = 0;  ///< and a message answered with an error,
  double nameless = 0; ///< and of those, one that does not say which it is about.
  void crash();        ///< Every connection is lost, and what only memory holds.
  void restart();
  /// As a crash, of one of the hosts: the others go on. It is back when it is taken out of `network::hosts_down`.
  void lose_host(const std::string& host);
  /// Everything that is only in the memory of a consumer's connection is given up: as if it were closed by the broker.
  void drop(wire& w);
  /// As if it were closed, but the connection stands, and nobody is told: what a broker does to a consumer whose topic
  /// is deleted. False where there is none.
  bool forget(wire& w);

  // -- administration
  [[nodiscard]] caf::expected<std::string> rest(std::string_view method, const std::string& path);

  // -- time
  [[nodiscard]] micros next_due() const;
  /// Does something whose time has come. False when there is nothing.
  bool act();

  void on_open(wire& w) override;
  void on_frame(wire& w, const std::string& text) override;
  void on_end(wire& w) override;

private:
  struct client {
    wire* w = nullptr;
    std::shared_ptr<wire> keep;
    std::map<std::string, std::string> query;
    std::vector<std::string> topics;
    // a producer:
    std::string name;
    std::int64_t number = -1;
    bool numbered = false;
    bool batching = false;
    std::size_t batch_most = 1000, pending_most = 0;
    micros batch_delay = 1000;
    std::vector<std::pair<std::string, stored_message>> batch; ///< With their contexts.
    micros batch_due = never;
    // a consumer or reader:
    std::string subscription, subscription_id;
    bool pull = false;
    micros patience = 0, refusal_delay = 0; ///< Until what is not acknowledged, or refused, comes again.
    std::size_t queue = 1000, pending = 0, permits = 0;
    std::vector<spot> unacknowledged;
    std::vector<std::pair<micros, spot>> refused;
    std::vector<std::pair<micros, spot>> overdue; ///< By the acknowledgement time-out.
    std::optional<spot> reads;
    std::size_t next = 0;
  };

  void lose(const std::function<bool(const wire&)>& which);
  void open_producer(client& c);
  void open_consumer(client& c);
  void open_reader(client& c);
  void take_message(client& c, const std::string& text);
  void store(client& c, stored_message m, const std::string& context);
  void flush(client& c);
  void take_word(client& c, const std::string& text);
  void note_use();
  void deliver();
  void deliver(const std::string& id, subscription_model& s);
  bool give(subscription_model& s, client& c, const spot& p);
  void join(subscription_model& s, topic_model& t);
  bool bury(subscription_model& s, const spot& p);
  [[nodiscard]] static int times(const subscription_model& s, const spot& p);
  void send(client& c, const spot& p, int count);
  std::optional<spot> find(const std::string& id);
  [[nodiscard]] std::string stats(const std::string& path) const;
  [[nodiscard]] micros parameter(const client& c, const std::string& name, micros otherwise) const;

  network& net_;
  randomness random_;
  network::tracer trace_;
  std::map<std::uint64_t, client> clients_;
  std::map<std::string, topic_model> topics_;
  std::map<std::string, subscription_model> subscriptions_; ///< By topic(s) and name.
  std::uint64_t made_up_ = 0;
};

/// `topic|subscription`, as the model names subscriptions.
[[nodiscard]] std::string subscription_id(const std::vector<std::string>& topics, const std::string& subscription);

} // namespace stargate::simulation
