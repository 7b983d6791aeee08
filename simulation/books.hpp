/// @file
/// What was published, answered, handled and acknowledged, and whether that is what was promised. Pure.
#pragma once

#include "simulation/broker.hpp"

#include <stargate/error.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stargate::simulation {

class books {
public:
  explicit books(std::function<void(const std::string&)> on_violation) : violate_{std::move(on_violation)} {}

  // -- publishing

  struct publication {
    std::string topic;
    bool once = false;
    std::size_t lane = 0; ///< Who published: what one lane publishes is in order.
    std::size_t number = 0;
    int answers = 0;
    bool stored = false;
    errc code = errc::none;
  };

  /// Gives the identity of a new message.
  std::string publish(const std::string& topic, bool once, std::size_t lane);
  /// @param log what is on the topic when the answer comes
  void on_answer(const std::string& identity, const caf::expected<message_id>& answer, const topic_model& log);
  /// The identity of a message that is made of one that `where` handled. Nobody is told what becomes of it; the one that
  /// it is made of may be acknowledged when it is stored.
  std::string publish_made_of(const std::string& where, const std::string& identity, const std::string& topic,
                              bool once);

  // -- receiving; `where` is a subscription or a reader

  void on_handled(const std::string& where, const std::string& identity);
  /// Its handler acknowledged it, or somebody did for it.
  void on_done(const std::string& where, const std::string& identity);
  void on_kept(const std::string& where, const std::string& identity, std::uint64_t connection, std::uint64_t place);
  void on_done_up_to(const std::string& where, std::uint64_t connection, std::uint64_t place);
  /// The broker is about to take an acknowledgement. @param buried whether it is on a topic of dead letters
  /// @param is_stored whether what was made of it is on its topic
  void on_acknowledged(const std::string& where, const std::string& identity, const std::function<bool()>& buried,
                       const std::function<bool(const std::string& topic, const std::string& identity)>& is_stored);

  /// Calls `check` for everything that is done, with where and what.
  void for_each_done(const std::function<void(const std::string&, const std::string&)>& check) const;
  /// What was acknowledged because it was buried.
  [[nodiscard]] const std::set<std::string>& buried() const { return buried_; }
  [[nodiscard]] int times_handled(const std::string& where, const std::string& identity) const;

  // -- in the end

  /// A publication that has no answer, or nothing.
  [[nodiscard]] std::string unanswered() const;
  /// @param unordered topics on which the broker refused messages
  void judge(const std::map<std::string, topic_model>& topics, const std::set<std::string>& unordered) const;

  [[nodiscard]] const std::unordered_map<std::string, publication>& publications() const { return publications_; }
  std::uint64_t published = 0, stored = 0, unknown = 0, handled = 0;

private:
  struct words {
    int handled = 0;
    bool done = false;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> kept; ///< Connection and place.
    std::vector<std::string> made_of_it;                       ///< Once for each time that it was handled.
  };

  [[nodiscard]] const words* find(const std::string& where, const std::string& identity) const;

  std::function<void(const std::string&)> violate_;
  std::unordered_map<std::string, publication> publications_;
  std::set<std::string> open_;
  std::map<std::string, std::unordered_map<std::string, words>> words_;       ///< By where, and identity.
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> done_up_to_; ///< By place and connection.
  std::set<std::string> buried_;
};

} // namespace stargate::simulation
