/// @file
/// A world from a seed: a tree on one thread, in virtual time, on a simulated network, before a
/// model of the broker, with an application that produces and handles; and the judge of what they promise.
///
/// One class in five files: world.cpp has time and the tree, application.cpp what its users do, faults.cpp what goes
/// wrong, embedding.cpp the same tree below a supervisor of the application's, and judge.cpp what has to be true.
#pragma once

#include "libstargate/connection/transport.hpp"
#include "simulation/books.hpp"
#include "simulation/broker.hpp"
#include "simulation/coverage.hpp"
#include "simulation/network.hpp"
#include "simulation/randomness.hpp"
#include "simulation/scenario.hpp"
#include "testing/virtual_system.hpp"

#include <stargate/stargate.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {
class tree_context;
} // namespace stargate::internal

namespace stargate::simulation {

/// What came of a world, or of many.
struct totals {
  std::uint64_t worlds = 0, published = 0, stored = 0, unknown = 0, handled = 0, faults = 0, steps = 0;
  std::uint64_t lasted = 0; ///< Of virtual time, in microseconds.

  totals& operator+=(const totals& other);
};

/// Runs a scenario to its end. A violation ends it at once: then this process cannot go on, since what runs in the
/// world cannot be taken apart in the middle. `on_violation` must not return.
class world {
public:
  world(const scenario& s, coverage& covered, std::ostream* trace, void (*on_violation)(const std::string&));
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world();

  totals run();

private:
  // -- the world that the tree sees: world.cpp

  class environment;
  class one_tree;

  // -- time and turns: world.cpp

  static constexpr std::size_t deepest = 3; ///< How many calls and handlers may wait within each other.

  struct depth_guard {
    std::size_t& depth;
    explicit depth_guard(std::size_t& d) : depth{d} { ++depth; }
    depth_guard(const depth_guard&) = delete;
    depth_guard& operator=(const depth_guard&) = delete;
    ~depth_guard() { --depth; }
  };
  [[nodiscard]] depth_guard nest();
  template <class Text>
  void say(const Text& text) {
    if (trace_ != nullptr)
      *trace_ << now_ << ' ' << text() << '\n';
  }
  void say(const char* text);
  void violate(const std::string& what);
  void set_time(micros to);
  /// Lets a random actor take a message. False when all are idle.
  bool run_actor();
  [[nodiscard]] micros next_timer();
  /// One thing happens: an actor's turn, or the next in time, up to `limit`, which is where time then stands. False
  /// when there is nothing more before it.
  bool step(micros limit);

  // -- what the scenario says: world.cpp

  [[nodiscard]] micros next_event() const;
  void next_thing();

  // -- the tree: world.cpp

  [[nodiscard]] static bool is_chosen(const pipeline_plan& p);
  options description();
  void add_to(const pipeline_plan& p, std::vector<producer_options>& producers,
              std::vector<consumer_options>& consumers, std::vector<reader_options>& readers);
  [[nodiscard]] static std::string reader_id(const reader_options& o);
  /// What runs is what a tree is started with.
  void expect_description();
  void start_tree();
  child_spec tree_as_child();

  // -- handlers: application.cpp

  class handler;
  /// Delivers to an actor, which is made anew when it has ended.
  [[nodiscard]] handler_factory to_sink(std::string where, bool is_reader);
  void publish_by_request(const deed& d);
  [[nodiscard]] handler_factory handler_for(std::string where, bool is_reader, run_on thread,
                                            std::chrono::milliseconds timeout, bool forwards = false);
  /// Time passes while a handler is busy. On a thread of its own, others go on meanwhile.
  void pass(micros time, bool others_go_on);

  // -- what the application does: application.cpp

  [[nodiscard]] std::vector<const producer_options*> producers();
  message make_message(const std::string& identity, std::uint64_t which, bool effectively_once);
  void on_answer(const std::string& identity, const std::string& topic, const caf::expected<message_id>& a);
  void perform(const deed& d);
  void publish(const deed& d);
  caf::actor receiving_actor(const std::string& topic);
  void settle_kept(const deed& d);
  void expect_answer(const char* call, const caf::error& failure, std::initializer_list<errc> allowed);
  void change(const deed& d);
  [[nodiscard]] static registry_key socket_key(const pipeline_plan& p);

  // -- who listens: application.cpp

  struct listener {
    bool has_seen_the_end = false;
  };
  void listen();

  // -- the tree below a supervisor of the application's: embedding.cpp

  void embed();
  /// Time goes on, for so long at the most, until `done`. Gives whether it is.
  bool go_on(micros at_most, const std::function<bool()>& done);

  // -- what goes wrong: faults.cpp

  void end_ongoing();
  void until(micros time, std::function<void()> undo);
  [[nodiscard]] std::string state_of_wire(const wire& w) const;
  void note(const fault& f, const std::string& role, const std::string& state, const pipeline_plan* hit = nullptr);
  /// Whose connection it is, or whose actor has that key. Null for what is nobody's: a dead letter's, an instance's.
  [[nodiscard]] bool is_asked_for(const pipeline_plan& p) const;
  [[nodiscard]] const pipeline_plan* pipeline_of(const wire& w) const;
  [[nodiscard]] const pipeline_plan* pipeline_of(const registry_key& key) const;
  void strike(const fault& f);
  void strike_actor(const fault& f);
  /// Of the socket that an actor works with.
  [[nodiscard]] std::string state_of_socket(const pipeline_plan* hit, const registry_key& key) const;
  /// Also of a tree that is starting, or stopping.
  [[nodiscard]] registry names_of_tree() const;

  // -- the network's side of the books: judge.cpp

  /// Bounds: what awaits a receipt, on the network,
  void on_received(const wire& w, std::size_t count);
  /// and what the broker may send, with what is unsettled.
  void on_permitted(const wire& w, std::size_t permits, std::size_t unsettled);
  void on_sent(const wire& w);
  void on_acknowledged(const std::string& sub, const std::string& identity);
  bool is_buried(const std::string& identity);

  // -- the end: judge.cpp

  /// Whether supervisors may give up in this world, or have been asked to end.
  [[nodiscard]] bool may_be_given_up() const;
  /// Every producer takes and stores a message; the last of an earlier generation may still be on its way out.
  void probe();
  /// A tree that stops in peace has told the broker all that its handlers have done.
  void judge_stop();
  /// What is not as it has to be in the end, yet.
  std::string unsettled();
  /// A message that a consumer or reader has still to handle, or nothing.
  std::string unhandled(const pipeline_plan& p);
  /// The plan and what runs are the same.
  std::string unplanned(const tree_snapshot& seen);
  tree_snapshot look();
  /// Whether the supervisor of what works on a topic has given up: where that is allowed.
  [[nodiscard]] bool is_given_up(const topic_name& topic, const tree_snapshot& seen) const;
  /// Whether what a pipeline needs has.
  [[nodiscard]] bool is_given_up(const pipeline_plan& p, const tree_snapshot& seen) const;
  void come_to_rest();
  void judge();
  void stop_tree();
  /// The last handle goes where nobody may wait.
  void drop_handle();
  [[nodiscard]] std::size_t living();
  void nothing_is_left(const std::string& of);

  const scenario s_;
  coverage& covered_;
  std::ostream* const trace_;
  void (*const on_violation_)(const std::string&);
  randomness actor_order_, handler_random_, library_random_;
  micros now_ = 0;
  std::shared_ptr<network> net_;
  broker broker_;
  std::shared_ptr<environment> environment_;
  std::shared_ptr<connection::transport> transport_;
  books books_{[this](const std::string& what) { violate(what); }};
  testing::virtual_system system_;
  const testing::virtual_system::time_point begin_ = system_.now();
  std::size_t depth_ = 0;
  bool may_wait_ = true;
  bool calm_ = false, handing_over_ = false, changing_ = false, stopping_ = false, struck_ = false;
  std::size_t next_deed_ = 0, next_fault_ = 0, deeds_done_ = 0, passed_ = 0;
  micros next_end_ = never;
  std::vector<std::pair<micros, std::function<void()>>> ongoing_;
  std::vector<std::pair<std::string, received_message>> kept_;
  std::map<std::string, caf::actor> sinks_;
  std::vector<std::shared_ptr<listener>> listeners_; ///< Of the tree that runs.
  std::set<std::size_t> running_, unsure_;
  std::set<std::string> ended_;
  std::set<std::string> unsubscribed_; ///< Once: what was handled before is nothing to a subscription made anew.
  std::map<std::string, producer_options> instances_;
  std::size_t last_lane_ = 0;
  micros calm_since_ = 0;
  std::map<std::uint64_t, std::size_t> outstanding_; ///< By connection.
  tree tree_;
  std::weak_ptr<internal::tree_context> context_;
  totals result_;
};

} // namespace stargate::simulation
